//! Properties of the engine that hold for every script of events, small enough to shrink to a readable counter-example.
//!
//! Promise guarded here: the invariants of the crate's first page, one at a time. The simulation guards them together.

#![allow(
    clippy::expect_used,
    reason = "what a test makes up is known to be valid"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Batch;
use clockout::engine::job::{
    Action, Agent, Echo, Epoch, Job, JobHead, JobId, OutcomeId, PbxQueue, Ticket, Timestamp,
};
use clockout::engine::outcome::{Code, Outcome};
use clockout::engine::verdict::{Answer, CallResult, ItemAnswer};
use clockout::engine::{
    BreakerSettings, Disposition, Effect, Engine, Event, Now, Policy, Published, RetrySettings,
    Settings, Tuning,
};
use proptest::prelude::*;

const LINGER: Duration = Duration::from_millis(200);

/// One line of a script.
#[derive(Debug, Clone)]
enum Line {
    Deliver {
        action: Action,
        queue: u8,
        agents: Vec<u8>,
    },
    Wait {
        millis: u64,
    },
    /// The oldest call under way is answered so, for each of its agents.
    Answer(Answer),
    /// RabbitMQ delivers everything unacknowledged again.
    LoseChannel,
    Flush {
        queue: u8,
    },
}

fn script() -> impl Strategy<Value = Vec<Line>> {
    let action = prop_oneof![Just(Action::Pause), Just(Action::Remove)];
    let answer = prop_oneof![
        4 => Just(Answer::Done),
        1 => Just(Answer::Absent),
        2 => Just(Answer::Busy),
        1 => Just(Answer::Refused),
    ];
    let line = prop_oneof![
        4 => (action, 0..3u8, prop::collection::vec(0..6u8, 1..5))
            .prop_map(|(action, queue, agents)| Line::Deliver { action, queue, agents }),
        2 => (0..500u64).prop_map(|millis| Line::Wait { millis }),
        2 => answer.prop_map(Line::Answer),
        1 => Just(Line::LoseChannel),
        1 => (0..3u8).prop_map(|queue| Line::Flush { queue }),
    ];
    prop::collection::vec(line, 1..40)
}

fn settings() -> Settings {
    Settings {
        prefetch: NonZeroUsize::MIN.saturating_add(99),
        dedup_window: Duration::from_mins(10),
        max_in_flight: NonZeroUsize::MIN.saturating_add(2),
        max_calls_per_second: None,
        max_agents: NonZeroUsize::MIN.saturating_add(2),
        linger: LINGER,
        retry: RetrySettings {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(1),
            attempts_max: NonZeroU32::MIN.saturating_add(4),
        },
        breaker: BreakerSettings {
            failures: NonZeroU32::MIN.saturating_add(4),
            cooldown: Duration::from_secs(5),
            cooldown_max: Duration::from_mins(1),
            hold_max: Duration::from_mins(20),
        },
        policy: Policy {
            pause: true,
            remove: true,
            remove_queues: None,
            dry_run: false,
        },
        hold_unroutable: true,
    }
}

/// What a script did, for a property to look at.
struct Run {
    engine: Engine,
    now: Duration,
    epoch: Epoch,
    last_tag: u64,
    /// Delivered and not acknowledged, in order of arrival.
    held: BTreeMap<Ticket, Arc<Job>>,
    confirmed: BTreeSet<OutcomeId>,
    /// Every outcome that was ever told.
    told: Vec<Arc<Outcome>>,
    under_way: VecDeque<Arc<Batch>>,
    /// Every call that ever left.
    calls: Vec<Arc<Batch>>,
    delivered: Vec<Arc<Job>>,
    acknowledged: usize,
    intake_open: bool,
    /// How often the PBX was asked by a call about nobody.
    asks: usize,
    /// How often what was held was to go back.
    let_go: usize,
}

impl Run {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings, 7),
            now: Duration::ZERO,
            epoch: Epoch(1),
            last_tag: 0,
            held: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            told: Vec::new(),
            under_way: VecDeque::new(),
            calls: Vec::new(),
            delivered: Vec::new(),
            acknowledged: 0,
            intake_open: true,
            asks: 0,
            let_go: 0,
        }
    }

    /// Plays a script, then lets time pass and answers every call until nothing is held.
    fn of(script: &[Line]) -> Self {
        let mut run = Self::new();
        for line in script {
            run.play(line);
        }
        for _ in 0..1_000 {
            run.answer(Answer::Done);
            run.wait(Duration::from_millis(100));
        }
        run
    }

    fn play(&mut self, line: &Line) {
        match line {
            Line::Deliver {
                action,
                queue,
                agents,
            } => {
                let job = job(self.delivered.len(), *action, *queue, agents);
                self.delivered.push(Arc::clone(&job));
                self.deliver(job, false);
            }
            Line::Wait { millis } => self.wait(Duration::from_millis(*millis)),
            Line::Answer(answer) => self.answer(*answer),
            Line::Flush { queue } => self.flush(*queue),
            Line::LoseChannel => {
                let held = self.lose_session();
                self.deliver_again(held);
            }
        }
    }

    /// Ends the session. What was held went back.
    fn lose_session(&mut self) -> Vec<Arc<Job>> {
        self.step(Event::ChannelLost { epoch: self.epoch });
        self.epoch = Epoch(self.epoch.0 + 1);
        std::mem::take(&mut self.held).into_values().collect()
    }

    fn deliver_again(&mut self, jobs: Vec<Arc<Job>>) {
        for job in jobs {
            self.deliver(job, true);
        }
    }

    fn flush(&mut self, number: u8) {
        let queue = queue(number);
        self.step(Event::Flushed { queue });
    }

    fn deliver(&mut self, job: Arc<Job>, redelivered: bool) {
        self.last_tag += 1;
        let ticket = Ticket {
            epoch: self.epoch,
            tag: self.last_tag,
        };
        self.held.insert(ticket, Arc::clone(&job));
        self.step(Event::Delivered {
            ticket,
            job,
            redelivered,
        });
    }

    /// Lets time pass, with a tick at each deadline.
    fn wait(&mut self, wait: Duration) {
        let end = self.now + wait;
        while let Some(deadline) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.step(Event::Tick);
        }
        self.now = end;
    }

    fn answer(&mut self, answer: Answer) {
        let Some(batch) = self.under_way.pop_front() else {
            return;
        };
        let (call, result) = (batch.id, answered(&batch, answer));
        self.step(Event::CallDone { call, result });
    }

    fn asked(&mut self, away: Option<&str>, retry_after: Option<Duration>) {
        let away = away.map(Arc::from);
        self.step(Event::Asked { away, retry_after });
    }

    /// Ends every call under way, each by what `result` says of it.
    fn end_calls(&mut self, result: impl Fn(&Batch) -> CallResult) {
        for batch in std::mem::take(&mut self.under_way) {
            let (call, result) = (batch.id, result(&batch));
            self.step(Event::CallDone { call, result });
        }
    }

    /// One step; what is published is confirmed at once.
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let wall = Timestamp(i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX));
            let now = Now {
                elapsed: self.now,
                wall,
            };
            let effects: Vec<Effect> = self.engine.step(now, event).collect();
            let published = Published::Confirmed;
            for effect in effects {
                match effect {
                    Effect::Call { batch, .. } => {
                        self.calls.push(Arc::clone(&batch));
                        self.under_way.push_back(batch);
                    }
                    Effect::Tell { tell, outcome } => {
                        self.confirmed.insert(outcome.id);
                        self.told.push(outcome);
                        events.push_back(Event::Told { tell, published });
                    }
                    Effect::Bury { ticket, .. } => {
                        events.push_back(Event::Buried { ticket, published });
                    }
                    Effect::Settle {
                        ticket,
                        disposition,
                        ..
                    } => {
                        assert_eq!(disposition, Disposition::Ack, "given back");
                        let held = self.held.remove(&ticket);
                        assert!(
                            held.is_some(),
                            "{ticket:?} settled twice, or on a channel that is gone"
                        );
                        self.acknowledged += 1;
                    }
                    Effect::Intake { open } => self.intake_open = open,
                    Effect::Ask { .. } => self.asks += 1,
                    Effect::LetGo => self.let_go += 1,
                    Effect::Count(_) => {}
                    Effect::Drained => assert_eq!(self.held.len(), 0, "drained unasked"),
                }
            }
        }
    }
}

fn answered(batch: &Batch, answer: Answer) -> CallResult {
    let queue = batch.queue;
    let item = |agent| ItemAnswer {
        queue,
        agent,
        answer,
        message: None,
    };
    CallResult::Answered(batch.agents().map(item).collect())
}

fn away() -> CallResult {
    CallResult::Transient {
        message: "503".into(),
        retry_after: None,
    }
}

fn queue(number: u8) -> PbxQueue {
    PbxQueue::parse(&format!("1000{number}")).expect("a queue number")
}

fn job(number: usize, action: Action, queue: u8, agents: &[u8]) -> Arc<Job> {
    job_until(None, number, action, queue, agents)
}

fn job_until(
    expires_at: Option<Timestamp>,
    number: usize,
    action: Action,
    queue: u8,
    agents: &[u8],
) -> Arc<Job> {
    let agents: Vec<Agent> = agents
        .iter()
        .filter_map(|n| Agent::parse(&format!("57{n}")).ok())
        .collect();
    let head = JobHead {
        id: JobId::parse(&format!("job-{number}")).expect("a job id"),
        action,
        queue: self::queue(queue),
        requested_at: None,
        expires_at,
        received_at: Timestamp(0),
        dry_run: false,
        replay: None,
        echo: Echo::default(),
    };
    let (first, others) = agents.split_first().expect("at least one agent");
    Arc::new(Job::new(head, *first, others))
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_settled_twice(script in script()) {
        let run = Run::of(&script);
        prop_assert_eq!(run.engine.pending(), None);
        prop_assert_eq!(run.acknowledged, run.delivered.len());
        for target in run.delivered.iter().flat_map(|job| job.targets()) {
            prop_assert!(run.confirmed.contains(&target.outcome_id), "no outcome for {:?}", target);
        }
    }

    #[test]
    fn a_call_holds_at_most_max_agents_and_each_once(script in script()) {
        for batch in Run::of(&script).calls {
            let agents: BTreeSet<Agent> = batch.agents().collect();
            prop_assert_eq!(agents.len(), batch.agents().count());
            prop_assert!(agents.len() <= settings().max_agents.get());
        }
    }

    #[test]
    fn a_batch_says_how_long_its_first_job_has_waited_and_which_attempt_it_is(
        millis in 0..200u64,
        failures in 0..4u32,
    ) {
        let mut run = Run::new();
        run.deliver(job(0, Action::Pause, 0, &[0]), false);
        run.wait(Duration::from_millis(millis));
        run.deliver(job(1, Action::Pause, 0, &[1]), false);
        run.wait(LINGER.saturating_sub(run.now));
        let mut waited = LINGER;
        for attempt in 1..=failures {
            let batch = run.calls.last().cloned().expect("a call");
            prop_assert_eq!((batch.size(), batch.attempt), (2, attempt));
            prop_assert!(batch.waited >= waited, "{:?}", batch);
            run.answer(Answer::Busy);
            run.wait(settings().retry.max);
            waited = batch.waited;
        }
    }

    #[test]
    fn linger_is_a_ceiling_where_nothing_else_holds_a_call_back(
        waits in prop::collection::vec(0..400u64, 1..20),
    ) {
        let mut run = Run::new();
        for (number, millis) in waits.into_iter().enumerate() {
            let arrived = run.now;
            let calls = run.calls.len();
            // Each job an agent of its own, answered at once: no lane is ever busy.
            run.deliver(job(number, Action::Pause, 0, &[0]), false);
            run.wait(LINGER);
            prop_assert_eq!(run.calls.len(), calls + 1, "did not leave within linger of {:?}", arrived);
            run.answer(Answer::Done);
            run.wait(Duration::from_millis(millis));
        }
    }

    #[test]
    fn what_waits_on_a_flushed_queue_leaves_without_a_wait_in_the_order_of_arrival(count in 1..8u8) {
        let mut run = Run::new();
        run.deliver(job(0, Action::Pause, 0, &[0]), false);
        run.wait(LINGER);
        for agent in 1..=count {
            run.deliver(job(usize::from(agent), Action::Pause, 0, &[agent]), false);
        }
        run.deliver(job(99, Action::Pause, 1, &[0]), false);
        run.flush(0);
        prop_assert_eq!(run.calls.len(), 1, "one call per queue at a time");
        while !run.under_way.is_empty() {
            run.answer(Answer::Done);
        }
        let called: Vec<String> = run.calls.iter().flat_map(|batch| batch.agents()).map(|a| a.as_str().to_owned()).collect();
        let asked: Vec<String> = (0..=count).map(|agent| format!("57{agent}")).collect();
        prop_assert_eq!(called, asked, "and none of another queue");

        let calls = run.calls.len();
        run.deliver(job(100, Action::Pause, 0, &[9]), false);
        prop_assert_eq!(run.calls.len(), calls, "what comes later gathers as ever");
    }

    #[test]
    fn a_flush_ends_the_wait_for_a_retry(others in 0..2u8) {
        let mut run = Run::new();
        for agent in 0..=others {
            run.deliver(job(usize::from(agent), Action::Pause, 0, &[agent]), false);
        }
        run.wait(LINGER);
        run.answer(Answer::Busy);
        run.flush(0);
        let attempts: Vec<u32> = run.calls.iter().map(|batch| batch.attempt).collect();
        prop_assert_eq!(attempts, [1, 2]);
    }

    #[test]
    fn calls_of_one_agent_follow_the_order_of_arrival(
        asked in prop::collection::vec((any::<bool>(), 0..300u64, any::<bool>()), 1..30),
    ) {
        let mut run = Run::new();
        let mut actions = Vec::new();
        for (number, (remove, millis, answer)) in asked.into_iter().enumerate() {
            let action = if remove { Action::Remove } else { Action::Pause };
            actions.push(action);
            run.deliver(job(number, action, 0, &[0]), false);
            run.wait(Duration::from_millis(millis));
            if answer {
                run.answer(Answer::Done);
            }
        }
        for _ in 0..100 {
            run.answer(Answer::Done);
            run.wait(LINGER);
        }
        let last = actions.last().copied();
        // Folding and replacing leave jobs out; what is left is never in another order, and the last word counts.
        let mut arrived = actions.into_iter();
        for batch in &run.calls {
            prop_assert!(arrived.any(|action| action == batch.action), "out of order: {:?}", batch);
        }
        prop_assert_eq!(run.calls.last().map(|batch| batch.action), last);
    }

    #[test]
    fn a_retry_waits_as_long_as_its_place_in_the_schedule_allows_and_no_longer(seed in any::<u64>()) {
        let RetrySettings { initial, multiplier, max, attempts_max } = settings().retry;
        let mut run = Run::new();
        run.engine = Engine::new(settings(), seed);
        run.deliver(job(0, Action::Pause, 0, &[0]), false);
        run.wait(LINGER);
        let mut longest = initial;
        for calls in 1..attempts_max.get() {
            prop_assert_eq!(run.calls.len(), calls as usize);
            run.answer(Answer::Busy);
            run.wait(longest);
            longest = longest.mul_f64(multiplier).min(max);
        }
        run.answer(Answer::Busy);
        run.wait(Duration::from_mins(1));
        prop_assert_eq!(run.calls.len(), attempts_max.get() as usize, "attempts_max counts calls");
        prop_assert_eq!(run.acknowledged, 1);
    }

    #[test]
    fn a_job_is_carried_out_again_only_after_the_dedup_window(pause in 0..1200u64) {
        let mut run = Run::new();
        let again = job(0, Action::Pause, 0, &[0]);
        run.deliver(Arc::clone(&again), false);
        run.wait(LINGER);
        run.answer(Answer::Done);
        run.wait(Duration::from_secs(pause));
        run.deliver(again, false);
        run.wait(LINGER);
        let known = Duration::from_secs(pause) <= settings().dedup_window;
        prop_assert_eq!(run.calls.len(), if known { 1 } else { 2 });
    }
}

#[test]
fn a_paused_worker_finishes_what_it_holds_and_takes_nothing_new_until_it_is_resumed() {
    let mut run = Run::new();
    run.deliver(job(0, Action::Pause, 0, &[0]), false);
    run.step(Event::Paused { paused: true });
    assert!(!run.intake_open);
    run.wait(LINGER);
    run.answer(Answer::Done);
    assert_eq!((run.calls.len(), run.intake_open), (1, false));
    run.wait(Duration::from_secs(1));
    assert_eq!(run.acknowledged, 1);
    run.step(Event::Paused { paused: false });
    assert!(run.intake_open);
}

#[test]
fn what_waits_goes_by_settings_that_change() {
    let before = settings().tuning();
    let hasty = Tuning {
        linger: Duration::ZERO,
        ..before
    };
    let small = Tuning {
        max_agents: NonZeroUsize::MIN.saturating_add(1),
        ..before
    };
    for tuning in [hasty, small] {
        let mut run = Run::new();
        run.deliver(job(0, Action::Pause, 0, &[0, 1]), false);
        assert_eq!(run.calls.len(), 0);
        run.step(Event::Tuned(Box::new(tuning)));
        assert_eq!(run.calls.len(), 1);
    }
}

#[test]
fn the_parts_of_a_refused_batch_hold_no_more_agents_than_the_settings_allow_by_then() {
    let mut run = Run::new();
    run.deliver(job(0, Action::Pause, 0, &[0, 1, 2]), false);
    let call = run.calls[0].id;
    let tuning = Tuning {
        max_agents: NonZeroUsize::MIN,
        ..settings().tuning()
    };
    run.step(Event::Tuned(Box::new(tuning)));
    let message = "no".into();
    run.under_way.clear();
    run.step(Event::CallDone {
        call,
        result: CallResult::Refused { message },
    });
    while !run.under_way.is_empty() {
        run.answer(Answer::Done);
    }
    let called = run.calls[1..].iter().flat_map(|batch| batch.agents());
    assert_eq!((run.calls.len(), called.count()), (4, 3));
}

/// RabbitMQ sends no more than prefetch, so a call that waited for more would wait for ever.
#[test]
fn whatever_the_settings_a_worker_whose_prefetch_is_used_up_goes_on() {
    let number = |number| NonZeroUsize::new(number).expect("not 0");
    for prefetch in [1, 2, 7, 100, 1_000] {
        for (max_agents, linger_s, queues) in [(1, 0), (50, 3_600), (500, 3_600)]
            .into_iter()
            .flat_map(|(agents, linger)| [1, 100].map(|queues| (agents, linger, queues)))
        {
            let mut run = Run::with(Settings {
                prefetch: number(prefetch),
                max_agents: number(max_agents),
                linger: Duration::from_secs(linger_s),
                ..settings()
            });
            let enough = 3 * prefetch;
            for moment in 0.. {
                assert!(
                    moment < 2 * enough + 1_000,
                    "prefetch {prefetch}, max_agents {max_agents}, linger {linger_s} s, {queues} queues: {} of {enough} done",
                    run.acknowledged
                );
                while run.held.len() < prefetch {
                    let next = usize::try_from(run.last_tag).expect("small");
                    let agent = u8::try_from(next / queues % 200).expect("small");
                    let queue = u8::try_from(next % queues).expect("small");
                    run.deliver(job(next, Action::Pause, queue, &[agent]), false);
                }
                if run.acknowledged >= enough {
                    break;
                }
                run.answer(Answer::Done);
                run.wait(Duration::from_millis(1));
            }
        }
    }
}

/// Where nobody can be asked, the others would wait for the dead queue: its jobs would be all that is held in the end.
#[test]
fn a_pbx_queue_that_fails_alone_holds_no_more_than_its_share_of_prefetch_after_a_while() {
    const DEAD: u8 = 0;
    const WELL: u8 = 1;
    let mut run = Run::new();
    let (prefetch, share) = (100, 100 / 8);
    for number in 0..prefetch {
        let queue = if number < 90 { DEAD } else { WELL };
        let agent = u8::try_from(number).expect("small");
        run.deliver(job(number, Action::Pause, queue, &[agent]), false);
    }
    let is_shed = |outcome: &&Arc<Outcome>| {
        let conclusion = &outcome.conclusion;
        conclusion.code == Code::Exhausted && conclusion.attempts < 5
    };
    let mut number = prefetch;
    for second in 0..63 {
        run.end_calls(|batch| {
            if batch.queue == queue(DEAD) {
                away()
            } else {
                answered(batch, Answer::Done)
            }
        });
        let shed = run.told.iter().filter(is_shed).count();
        assert!(
            second >= 60 || shed == 0,
            "{shed} given up after {second} seconds"
        );
        while run.held.len() < prefetch {
            let agent = u8::try_from(number % 200).expect("small");
            run.deliver(job(number, Action::Pause, WELL, &[agent]), false);
            number += 1;
        }
        run.wait(Duration::from_secs(1));
    }
    let dead = |job: &&Arc<Job>| job.queue == queue(DEAD);
    let held = run.held.values().filter(dead).count();
    assert!((1..=share).contains(&held), "{held} of the dead queue held");
    let given_up = run.told.iter().filter(is_shed);
    let given_up: Vec<Option<Agent>> = given_up.map(|outcome| outcome.agent).collect();
    let longest_waiting_first = given_up.is_sorted_by_key(|agent| {
        let number = agent.map(|agent| agent.to_string().split_off(2));
        number.and_then(|number| number.parse::<u32>().ok())
    });
    assert!(
        !given_up.is_empty() && longest_waiting_first,
        "{given_up:?}"
    );
}

#[test]
fn a_pbx_queue_that_fails_is_not_blamed_for_an_outage_of_the_whole_pbx() {
    let mut run = Run::new();
    for number in 0..100 {
        let agent = u8::try_from(number).expect("small");
        run.deliver(job(number, Action::Pause, 0, &[agent]), false);
    }
    for _ in 0..100 {
        run.end_calls(|_| away());
        run.wait(Duration::from_secs(5));
    }
    assert_eq!((run.told.len(), run.held.len()), (0, 100));
}

/// All calls are held back, as one of them was told when to come again: nobody else can be answered.
#[test]
fn a_pbx_queue_that_failed_once_keeps_its_jobs_however_long_the_pbx_is_left_alone() {
    let mut run = Run::new();
    for number in 0..100 {
        let agent = u8::try_from(number).expect("small");
        run.deliver(job(number, Action::Pause, 0, &[agent]), false);
    }
    run.end_calls(|_| CallResult::Transient {
        message: "429".into(),
        retry_after: Some(Duration::from_mins(5)),
    });
    run.wait(Duration::from_mins(5));
    assert_eq!((run.told.len(), run.held.len()), (0, 100));
}

#[test]
fn in_a_long_outage_what_is_held_goes_back_once_and_nothing_is_taken_until_the_pbx_may_be_back() {
    let mut run = Run::new();
    run.deliver(job(0, Action::Pause, 0, &[0]), false);
    let fault = |_: &Batch| CallResult::Fault {
        message: "401".into(),
        retry_after: None,
    };
    let minute = Duration::from_mins(1);
    for _ in 0..19 {
        run.end_calls(fault);
        run.wait(minute);
    }
    assert_eq!((run.let_go, run.asks, run.intake_open), (0, 0, false));
    run.end_calls(fault);
    run.wait(minute);
    assert_eq!((run.let_go, run.held.len()), (1, 1));
    run.end_calls(fault);
    let held = run.lose_session();
    for asks in 1..=60 {
        run.wait(minute);
        assert_eq!((run.asks, run.intake_open), (asks, false));
        run.asked(Some("401"), None);
    }
    run.wait(minute);
    run.asked(None, Some(minute));
    assert!(run.intake_open, "a job can tell");
    let calls = run.calls.len();
    run.deliver_again(held);
    assert_eq!(run.calls.len(), calls, "it wants to be left alone");
    run.wait(minute);
    assert_eq!(run.calls.len(), calls + 1, "a probe");
    run.answer(Answer::Done);
    assert_eq!((run.let_go, run.acknowledged), (1, 1));
}

#[test]
fn what_went_back_in_a_long_outage_is_taken_again_to_be_told_that_it_has_expired() {
    let mut run = Run::new();
    let minute = Duration::from_mins(1);
    let expires_at = Some(Timestamp(25 * 60 * 1_000));
    run.deliver(job_until(expires_at, 0, Action::Pause, 0, &[0]), false);
    let refuse = |run: &mut Run| {
        run.end_calls(|_| CallResult::Fault {
            message: "401".into(),
            retry_after: None,
        });
        run.asked(Some("401"), None);
    };
    for _ in 0..20 {
        refuse(&mut run);
        run.wait(minute);
    }
    let held = run.lose_session();
    for _ in 20..24 {
        refuse(&mut run);
        run.wait(minute);
        assert!(!run.intake_open);
    }
    refuse(&mut run);
    run.wait(2 * minute);
    assert!(run.intake_open);
    run.deliver_again(held);
    let told: Vec<Code> = run.told.iter().map(|told| told.conclusion.code).collect();
    assert_eq!((told, run.acknowledged), (vec![Code::Expired], 1));
}

//! The oracle: what clockout owes, written down as naively as possible and checked after every step.
//!
//! It sees the same events as the engine and judges its effects. It never predicts *what* the engine will do, only
//! knows what the engine may do and what it must have done; so it shares no code and no cleverness with it.
//!
//! | file | promises |
//! |---|---|
//! | `tickets.rs` | acknowledged only after everything is confirmed; settled once; in the order of arrival; dead letters |
//! | `calls.rs` | who may be called, in what company, how many at once; linger |
//! | `place.rs` | the order of calls for one agent on one PBX queue |
//! | `health.rs` | when a call may leave at all: breaker, `Retry-After`, calls per second |
//! | `obligation.rs` | one agent of one job: what is owed, and what the PBX answered |
//! | `outcomes.rs` | what may be told of it |

mod calls;
mod health;
mod obligation;
mod outcomes;
mod place;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clockout::engine::batch::Cause;
use clockout::engine::job::{Action, OutcomeId, PbxQueue};
use clockout::engine::outcome::{Code, Outcome};
use clockout::engine::{Disposition, Effect, Engine, Event, Now, Published, Settings, TellId};

use crate::onlooker::Judged;
use crate::pbx::{Member, Pbx};
use crate::producer::{Expected, Message};
use calls::Calls;
use obligation::{Arrival, Obligation};
use tickets::Tickets;

type Obligations = BTreeMap<OutcomeId, Obligation>;

/// A time, and the settings that judge it.
#[derive(Debug, Clone, Copy)]
struct Moment<'s> {
    now: Now,
    settings: &'s Settings,
}

/// What a run met, so that a simulation that tests nothing is noticed.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) codes: BTreeSet<Code>,
    pub(crate) causes: BTreeSet<Cause>,
    pub(crate) rarities: BTreeSet<Rarity>,
    pub(crate) judged: Judged,
}

/// What few runs come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rarity {
    /// A job was given up before its attempts were, for others.
    Shed,
    /// The same, where no more than a shard's part of prefetch was used up.
    ShedInShard,
    /// What was held went back in a long outage.
    LetGo,
    /// The PBX was asked by a call about nobody, and was away.
    AskedInVain,
    /// It was asked, and may have been back.
    AskedWell,
    /// A job was settled for a session that was over, when the next one stood.
    SettledTooLate,
}

impl Rarity {
    pub(crate) const ALL: [Self; 6] = [
        Self::Shed,
        Self::ShedInShard,
        Self::LetGo,
        Self::AskedInVain,
        Self::AskedWell,
        Self::SettledTooLate,
    ];
}

#[derive(Debug)]
pub(crate) struct Oracle {
    settings: Settings,
    /// The confirmed outcomes, over all processes.
    confirmed: BTreeMap<OutcomeId, BTreeSet<Code>>,
    pub(crate) met: Met,
    process: Process,
}

/// What is owed by, and known of, the process that lives now. A crash forgets it, as the worker does.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Default)]
struct Process {
    obligations: Obligations,
    tickets: Tickets,
    calls: Calls,
    /// Outcomes published and not yet answered.
    telling: BTreeMap<TellId, OutcomeId>,
    tells_ever: BTreeMap<TellId, OutcomeId>,
    /// The part of prefetch that a shard has used up.
    used_up: Option<usize>,
    /// Somebody wants no new deliveries.
    paused: bool,
    /// Somebody wants what waits for this PBX queue to leave, in this step.
    flushed: Option<PbxQueue>,
    stopping: bool,
    grace_ended: bool,
    drained: bool,
}

impl Process {
    fn lose_channel(&mut self) {
        self.tickets.void();
        self.telling.clear();
        self.calls.session_ended();
        self.used_up = None;
        self.obligations
            .values_mut()
            .for_each(Obligation::lose_tickets);
    }

    /// Whether a job of this outcome's PBX queue may be given up before its attempts are: the queue fails on its own, prefetch,
    /// or a shard's part of it, is used up, and more than an eighth of that, and than a call's worth, waits for the queue.
    fn may_shed(&self, moment: Moment<'_>, outcome: &Outcome) -> bool {
        let Some(queue) = outcome.queue else {
            return false;
        };
        let prefetch = moment.settings.prefetch.get();
        let all_used_up = self.tickets.held() >= prefetch || self.tickets.owed() >= prefetch;
        let used_up = all_used_up || self.used_up.is_some();
        let here = self.obligations.values().filter(|o| o.job.queue == queue);
        let waiting: usize = here
            .filter(|o| o.ended.is_none())
            .map(|o| o.tickets.len())
            .sum();
        let waiting = waiting + self.calls.orphans(queue, &self.obligations);
        let share = (self.used_up.unwrap_or(prefetch) / 8).max(moment.settings.max_agents.get());
        self.calls.fails_alone(moment, queue) && used_up && waiting > share
    }
}

impl Oracle {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            confirmed: BTreeMap::new(),
            met: Met::default(),
            process: Process::default(),
        }
    }

    pub(crate) fn process_ended(&mut self) {
        self.process = Process::default();
    }

    /// Takes note of an event, before the engine does.
    pub(crate) fn sees(&mut self, now: Now, event: &Event) {
        let moment = Moment {
            now,
            settings: &self.settings,
        };
        let process = &mut self.process;
        match event {
            Event::Delivered {
                ticket,
                job,
                redelivered,
            } => {
                let targets = job.targets().iter().map(|target| target.outcome_id);
                let number = process.tickets.arrive(now.elapsed, *ticket, targets);
                let (ticket, redelivered) = (*ticket, *redelivered);
                let arrival = Arrival {
                    moment,
                    number,
                    ticket,
                    redelivered,
                };
                for &target in job.targets() {
                    arrival.bring(job, target, &mut process.obligations);
                }
            }
            Event::Unreadable {
                ticket, outcome, ..
            } => process
                .tickets
                .arrive_unreadable(now.elapsed, *ticket, outcome),
            Event::CallDone { call, result } => {
                process
                    .calls
                    .done(moment, *call, result, &mut process.obligations);
            }
            Event::Told { tell, published } => self.sees_told(*tell, *published),
            Event::Buried { ticket, published } => {
                let good = *published == Published::Confirmed;
                process
                    .tickets
                    .buried(*ticket, good, &mut process.obligations);
            }
            Event::ChannelLost { .. } => process.lose_channel(),
            Event::Tick => {}
            Event::PartUsedUp { part } => process.used_up = *part,
            Event::Asked { away, .. } => {
                let away = away.is_some();
                process.calls.asked(away);
                let rarity = if away {
                    Rarity::AskedInVain
                } else {
                    Rarity::AskedWell
                };
                self.met.rarities.insert(rarity);
            }
            Event::Paused { paused } => process.paused = *paused,
            Event::BreakerClosed => process.calls.breaker_closed(),
            Event::Flushed { queue } => process.flushed = Some(*queue),
            Event::Tuned(tuning) => self.settings.tune(**tuning),
            Event::StopRequested => process.stopping = true,
            Event::GraceEnded => {
                process.grace_ended = true;
                process.calls.abandon();
            }
        }
    }

    /// A returned outcome is as good as a confirmed one only where the settings say so.
    fn counts_as_confirmed(&self, published: Published) -> bool {
        match published {
            Published::Confirmed => true,
            Published::Returned => !self.settings.hold_unroutable,
            Published::Refused => false,
        }
    }

    fn sees_told(&mut self, tell: TellId, published: Published) {
        let Some(id) = self.process.telling.remove(&tell) else {
            return;
        };
        if self.counts_as_confirmed(published) {
            self.process.tickets.told(id);
            let code = self.process.obligations.get(&id).and_then(Obligation::code);
            self.confirmed.entry(id).or_default().extend(code);
        }
    }

    /// Judges one effect of the step that the event of [`Oracle::sees`] led to.
    pub(crate) fn judges(&mut self, now: Now, effect: &Effect) {
        let moment = Moment {
            now,
            settings: &self.settings,
        };
        let process = &mut self.process;
        assert!(!process.drained, "an effect after Drained: {effect:?}");
        match effect {
            Effect::Intake { open } => {
                assert!(
                    !(*open && (process.stopping || process.paused)),
                    "takes new deliveries after it was told to stop"
                );
            }
            Effect::Call { call, batch } => {
                self.met.causes.insert(batch.cause);
                process
                    .calls
                    .start(moment, *call, batch, &mut process.obligations);
            }
            Effect::Ask { .. } => process.calls.ask(moment),
            Effect::LetGo => {
                self.met.rarities.insert(Rarity::LetGo);
                let oldest = process.tickets.oldest();
                process.calls.let_go(moment, oldest);
            }
            Effect::Tell { tell, outcome } => self.judges_tell(now, *tell, outcome),
            Effect::Bury { ticket, letter } => {
                process
                    .tickets
                    .bury(*ticket, letter, &mut process.obligations);
            }
            Effect::Settle {
                ticket,
                disposition: Disposition::Ack,
                ..
            } => {
                process
                    .tickets
                    .acknowledge(*ticket, &mut process.obligations);
            }
            Effect::Settle {
                ticket,
                disposition: Disposition::GiveBack,
                ..
            } => {
                assert!(
                    process.stopping,
                    "{ticket:?} given back though nobody asked to stop"
                );
                process.tickets.give_back(*ticket, &mut process.obligations);
            }
            Effect::Count(_) => {}
            Effect::Drained => {
                assert!(process.stopping, "drained though nobody asked to stop");
                assert_eq!(process.tickets.held(), 0, "drained with jobs held");
                process.drained = true;
            }
        }
    }

    fn judges_tell(&mut self, now: Now, tell: TellId, outcome: &Outcome) {
        let moment = Moment {
            now,
            settings: &self.settings,
        };
        let process = &mut self.process;
        let id = outcome.id;
        assert_eq!(
            process.telling.insert(tell, id),
            None,
            "{tell:?} published while under way"
        );
        assert_eq!(
            *process.tells_ever.entry(tell).or_insert(id),
            id,
            "{tell:?} used twice"
        );
        assert!(
            process.tickets.asks_for(id),
            "told an outcome that no held job asks for: {outcome:?}"
        );
        self.met.codes.insert(outcome.conclusion.code);
        if process.tickets.is_unreadable(outcome) {
            self.confirmed.entry(id).or_default();
        } else {
            let shed = process.may_shed(moment, outcome);
            let shed = outcomes::judge(moment, &mut process.obligations, outcome, shed);
            let rarity = process
                .used_up
                .map_or(Rarity::Shed, |_| Rarity::ShedInShard);
            self.met.rarities.extend(shed.then_some(rarity));
        }
    }

    /// Checks what must hold whenever the engine rests.
    pub(crate) fn looks_at(&mut self, now: Now, engine: &Engine) {
        let moment = Moment {
            now,
            settings: &self.settings,
        };
        let process = &mut self.process;
        let snapshot = engine.snapshot();
        let held = process.tickets.held();
        assert_eq!(
            snapshot.held, held,
            "the engine and the oracle disagree about what is held"
        );
        assert!(
            held <= self.settings.prefetch.get(),
            "{held} jobs held, more than prefetch"
        );
        assert!(
            !snapshot.forgotten,
            "jobs are held for nothing: {:?}",
            engine.pending()
        );
        process.calls.check_breaker(&snapshot, &self.settings);
        process.calls.check_linger(moment, &process.obligations);
        if let Some(queue) = process.flushed.take() {
            let calls = &process.calls;
            calls.check_flushed(moment, queue, &process.obligations);
        }
        if process.grace_ended {
            assert!(
                process.drained,
                "grace ended, and something is still held: {:?}",
                engine.pending()
            );
        }
        if held == 0 && process.stopping && snapshot.calls_in_flight == 0 {
            assert!(
                process.drained,
                "nothing held, stop requested, but not drained"
            );
        }
        if let Some(deadline) = engine.next_deadline() {
            let far = now.elapsed + Duration::from_hours(24);
            assert!(deadline < far, "a deadline a day away: {deadline:?}");
        }
    }

    /// When everything has drained: every job and agent has its outcome, and the PBX shows it.
    pub(crate) fn at_the_end(&self, published: &[Message], pbx: &Pbx) {
        let expected: Vec<Expected> = published.iter().flat_map(Message::expected).collect();
        for Expected { id, asked } in &expected {
            let codes = self.confirmed.get(id);
            assert!(codes.is_some(), "no outcome {id} for {asked:?}");
            let applied = codes.is_some_and(|codes| codes.contains(&Code::Applied));
            if let Some(asked) = asked.filter(|_| applied) {
                let member = pbx.member(asked.queue, asked.agent);
                let shows = match asked.action {
                    Action::Pause => member != Member::Active,
                    Action::Remove => member == Member::Absent,
                };
                assert!(
                    shows,
                    "{asked:?} was told as applied, but the agent is {member:?}"
                );
            }
        }
        let ids: BTreeSet<OutcomeId> = expected.iter().map(|expected| expected.id).collect();
        for id in self.confirmed.keys() {
            assert!(
                ids.contains(id),
                "an outcome for a job that nobody published: {id}"
            );
        }
    }
}

//! The worker's every decision, as a pure state machine: `step(now, Event) -> Effects`.
//!
//! No I/O, no clock, no randomness of its own: time comes in with each event and a seed at birth, so a run replays.

mod acks;
mod admission;
pub mod batch;
mod bounded;
mod breaker;
mod calls;
pub mod job;
mod lane;
mod ledger;
mod memory;
mod outage;
pub mod outcome;
mod pace;
mod retry;
mod shedding;
mod telling;
mod tuning;
pub mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use acks::{Acks, Arrived};
use batch::{Batch, Cause};
use bounded::Map;
use breaker::{Breaker, Permit};
use job::{Action, Agent, Epoch, Job, PbxQueue, Target, Ticket, Timestamp};
use lane::{Due, Lane, Rules};
use ledger::Ledger;
use memory::Memory;
use outage::Outage;
use outcome::{Code, Outcome};
use pace::Pace;
use retry::Schedule;
use shedding::Failing;
use telling::Telling;
pub use tuning::Tuning;
use verdict::CallResult;

/// Most agents held at once, over all jobs: as many as jobs, so that jobs of many agents need no more memory than as many of
/// one. At this many no further delivery is handed in; one more job may come on top.
fn agents_held_max(prefetch: NonZeroUsize) -> usize {
    prefetch.get()
}

/// The time of an event, twice: one clock to measure with, one to compare with the producers' clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the worker's start, never going back.
    pub elapsed: Duration,
    /// The wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// What the wall clock says when so much has passed since the worker's start; now, if it has already.
    pub fn wall_at(self, elapsed: Duration) -> Timestamp {
        let ahead = elapsed.saturating_sub(self.elapsed).as_millis();
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        Timestamp(self.wall.0.saturating_add(ahead))
    }
}

/// What the engine is told of the settings (CONTRACT §7).
#[derive(Debug, Clone)]
pub struct Settings {
    pub prefetch: NonZeroUsize,
    pub dedup_window: Duration,
    pub max_in_flight: NonZeroUsize,
    /// `None`: no limit.
    pub max_calls_per_second: Option<NonZeroU32>,
    pub max_agents: NonZeroUsize,
    pub linger: Duration,
    pub retry: RetrySettings,
    pub breaker: BreakerSettings,
    pub policy: Policy,
    /// Whether an outcome that no queue takes holds its job (`true`) or is only counted.
    pub hold_unroutable: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct RetrySettings {
    pub initial: Duration,
    pub multiplier: f64,
    pub max: Duration,
    /// Counts calls, the first included.
    pub attempts_max: NonZeroU32,
}

#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    pub failures: NonZeroU32,
    pub cooldown: Duration,
    pub cooldown_max: Duration,
    /// Longest that jobs stay held while it is open.
    pub hold_max: Duration,
}

/// What this worker may do at all.
#[derive(Debug, Clone)]
pub struct Policy {
    pub pause: bool,
    pub remove: bool,
    /// `None`: removing is allowed on every PBX queue.
    pub remove_queues: Option<Vec<PbxQueue>>,
    pub dry_run: bool,
}

/// Identifies one call until its [`Event::CallDone`]; the same number as its batch's id.
pub type CallId = batch::BatchId;

/// Identifies one publish of an outcome until its [`Event::Told`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TellId(pub u64);

/// What the broker said of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Confirmed and routed.
    Confirmed,
    /// Refused by the broker (nack).
    Refused,
    /// Confirmed, but no queue takes it (`mandatory`, returned).
    Returned,
}

/// Everything that can happen to the engine.
#[derive(Debug, Clone)]
pub enum Event {
    Delivered {
        ticket: Ticket,
        job: Arc<Job>,
        redelivered: bool,
    },
    /// A message that is no valid job; the outcome says why.
    Unreadable {
        ticket: Ticket,
        outcome: Arc<Outcome>,
        redelivered: bool,
    },
    CallDone {
        call: CallId,
        result: CallResult,
    },
    Told {
        tell: TellId,
        published: Published,
    },
    /// The dead letter of this ticket was published.
    Buried {
        ticket: Ticket,
        published: Published,
    },
    /// The answer to [`Effect::Ask`]. `away`: why the PBX takes no call at all; `None` if it may take some.
    Asked {
        away: Option<Arc<str>>,
        retry_after: Option<Duration>,
    },
    /// The broker session ended: its tickets are void, and so is every publish not yet answered.
    ChannelLost {
        epoch: Epoch,
    },
    /// So much is one jobs queue's part of the prefetch, and it is used up: no more comes of that queue, though less than all of it is
    /// held. `None`: not any more.
    PartUsedUp {
        part: Option<usize>,
    },
    /// A deadline of [`Engine::next_deadline`] has come.
    Tick,
    /// Somebody wants no new deliveries to be taken, or wants them again. What is held goes on.
    Paused {
        paused: bool,
    },
    /// Somebody knows that the PBX is back: calls are made again, without a probe first.
    BreakerClosed,
    /// Somebody wants what waits for this PBX queue to leave now, without company and retries included.
    Flushed {
        queue: PbxQueue,
    },
    StopRequested,
    /// The settings have changed. Boxed: it is rare, and larger than what happens to every job.
    Tuned(Box<Tuning>),
    /// The grace period ran out: what is left goes back.
    GraceEnded,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Done: acknowledged.
    Ack,
    /// Given back to RabbitMQ when the session ends, undone.
    GiveBack,
}

/// The dead letter of one job: what is added to the original message (CONTRACT §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub code: Code,
    pub message: Option<Arc<str>>,
    /// Those that failed, in the job's order; empty if the message was no valid job.
    pub agents: Vec<Agent>,
    pub attempts: u32,
    pub at: Timestamp,
}

/// Something that became certain.
#[derive(Debug, Clone)]
pub enum Counted {
    /// The broker took this outcome, which was first published at `since`.
    Told {
        outcome: Arc<Outcome>,
        since: Timestamp,
    },
    /// The broker took the dead letter of a job; this is the first of its outcomes that called for one.
    Buried(Arc<Outcome>),
    /// No queue takes a publish; counted at each try.
    Unroutable,
}

/// What the shell is to do. It does them in order and decides nothing.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Start taking deliveries, or stop (nothing that is held is given back).
    Intake {
        open: bool,
    },
    Call {
        call: CallId,
        batch: Arc<Batch>,
    },
    /// Ask the PBX whether it would take a call for this action, by one about nobody.
    Ask {
        action: Action,
    },
    /// End the session, so that everything held goes back to RabbitMQ.
    LetGo,
    Tell {
        tell: TellId,
        outcome: Arc<Outcome>,
    },
    Bury {
        ticket: Ticket,
        letter: DeadLetter,
    },
    /// `held_for`: since its delivery.
    Settle {
        ticket: Ticket,
        disposition: Disposition,
        held_for: Duration,
    },
    /// For the metrics.
    Count(Counted),
    /// The drain is over: nothing is held any more.
    Drained,
}

/// The worker's state and rules. See the module page; the invariants stand in `lib.rs`.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: fastrand::Rng,
    schedule: Schedule,
    ledger: Ledger,
    acks: Acks,
    memory: Memory,
    lanes: Slab<Slot>,
    by_queue: Map<PbxQueue, LaneId>,
    /// Lanes whose batch is due, in the order in which they became so: no PBX queue starves another.
    turn: VecDeque<LaneId>,
    /// When lanes become due.
    alarms: BTreeSet<(Duration, LaneId)>,
    last_probed: LaneId,
    breaker: Breaker,
    failing: Failing,
    outage: Outage,
    pace: Pace,
    in_flight: Map<CallId, LaneId>,
    next_call: u64,
    telling: Telling,
    /// When to look for expired jobs among those that wait.
    sweep_at: Option<Duration>,
    pressed: Option<Cause>,
    /// The size of it.
    part_used_up: Option<usize>,
    intake_open: bool,
    paused: bool,
    drain: Drain,
    now: Duration,
    effects: Vec<Effect>,
    /// Empty between steps, kept for its room.
    finished: Vec<Ticket>,
}

/// How far the worker's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    Unasked,
    Begun,
    /// Nothing was held any more.
    Over,
}

type LaneId = usize;

#[derive(Debug)]
struct Slot {
    lane: Lane,
    /// Whether it stands in [`Engine::turn`].
    queued: bool,
    /// The pressure under which it got there; it stays due though that may have gone before its turn comes.
    pressed: Option<Cause>,
    /// Where it stands in [`Engine::alarms`].
    alarm: Option<Duration>,
}

/// What the engine holds, for readiness, metrics and `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Jobs held: delivered and not yet settled, those included that are finished and wait to be acknowledged together.
    pub held: usize,
    /// Why the breaker is open; `None` while it is closed.
    pub breaker_open: Option<Arc<str>>,
    /// When the open breaker lets the next call try the PBX; `None` while it is closed, and once it does.
    pub next_probe: Option<Duration>,
    /// Outcomes and dead letters that no queue took and that are held for another try.
    pub unroutable: usize,
    /// Outcomes and dead letters that were published and not yet answered.
    pub publishing: usize,
    pub calls_in_flight: usize,
    /// Jobs are held, and nothing that is under way or will come in time brings them on: a defect.
    pub forgotten: bool,
    /// Somebody wants no new deliveries to be taken.
    pub paused: bool,
    pub draining: bool,
}

/// One agent of one job in a call under way, for its trace.
#[derive(Debug, Clone, Copy)]
pub struct Rider<'e> {
    pub job: &'e Job,
    pub target: Target,
    /// Calls before this one that held the agent for this job.
    pub calls: u32,
}

/// One PBX queue, for `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueRow {
    pub queue: PbxQueue,
    /// Agents that wait for a call, those in `retrying` included.
    pub waiting: usize,
    pub in_flight: usize,
    pub retrying: usize,
}

impl Engine {
    /// `seed` feeds the jitter, nothing else.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            schedule: Schedule::new(&settings.retry),
            ledger: Ledger::default(),
            acks: Acks::new(settings.prefetch),
            memory: Memory::new(settings.dedup_window, settings.prefetch),
            lanes: Slab::new(),
            by_queue: Map::default(),
            turn: VecDeque::new(),
            alarms: BTreeSet::new(),
            last_probed: 0,
            breaker: Breaker::new(settings.breaker),
            failing: Failing::default(),
            outage: Outage::default(),
            pace: Pace::new(settings.max_calls_per_second),
            in_flight: Map::default(),
            next_call: 1,
            telling: Telling::new(settings.hold_unroutable),
            sweep_at: None,
            pressed: None,
            part_used_up: None,
            intake_open: true,
            paused: false,
            drain: Drain::Unasked,
            now: Duration::ZERO,
            effects: Vec::new(),
            finished: Vec::new(),
            settings,
        }
    }

    /// Lets one thing happen. Timers that are due are looked at first, whatever the event: a busy broker must not postpone
    /// a batch whose linger is over.
    pub fn step(&mut self, now: Now, event: Event) -> std::vec::Drain<'_, Effect> {
        self.now = now.elapsed;
        self.look_at_timers(now);
        match event {
            Event::Delivered {
                ticket,
                job,
                redelivered,
            } => {
                self.admit(now, ticket, &job, redelivered);
            }
            Event::Unreadable {
                ticket,
                outcome,
                redelivered,
            } => {
                self.turn_away(now, ticket, &outcome, redelivered);
            }
            Event::CallDone { call, result } => self.call_done(now, call, &result),
            Event::Told { tell, published } => self.told(now, tell, published),
            Event::Buried { ticket, published } => self.buried(now, ticket, published),
            Event::Asked { away, retry_after } => self.asked(away.as_ref(), retry_after),
            Event::ChannelLost { epoch: _ } => self.void(now),
            Event::PartUsedUp { part } => self.part_used_up = part,
            Event::Tick => {}
            Event::Paused { paused } => self.paused = paused,
            Event::BreakerClosed => {
                self.breaker.close();
                self.failing.forgive_all();
            }
            Event::Flushed { queue } => self.flush(now.elapsed, queue),
            Event::StopRequested => {
                self.begin_drain();
                self.acknowledge(false);
            }
            Event::Tuned(tuning) => self.tune(now.elapsed, *tuning),
            Event::GraceEnded => self.give_back(),
        }
        self.feel_pressure(now);
        self.shed(now);
        self.dispatch(now);
        self.decide_intake();
        self.note_drained();
        self.effects.drain(..)
    }

    /// When to send the next [`Event::Tick`], as [`Now::elapsed`]; `None` while nothing waits for time to pass.
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.next_move(), self.sweep_at, self.outage.wake_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When time brings a job on, other than to its end.
    fn next_move(&self) -> Option<Duration> {
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let held_back = Some(self.pace.not_before()).filter(|at| *at > self.now);
        [
            alarm,
            held_back,
            self.breaker.deadline(),
            self.telling.deadline(),
            self.acks.deadline(),
            self.let_go_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether another delivery may be handed in; `false` while as many agents as prefetch are held.
    pub fn has_room(&self) -> bool {
        self.ledger.owed() < agents_held_max(self.settings.prefetch)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            held: self.acks.len(),
            breaker_open: self.breaker.reason().cloned(),
            next_probe: self.breaker.deadline(),
            unroutable: self.telling.unroutable(),
            publishing: self.telling.under_way(),
            calls_in_flight: self.in_flight.len(),
            forgotten: self.acks.len() > 0
                && self.in_flight.is_empty()
                && self.telling.len() == 0
                && !self.outage.is_letting_go()
                && self.next_move().is_none(),
            paused: self.paused,
            draining: self.is_draining(),
        }
    }

    /// What is held per PBX queue, up to `most` rows.
    pub fn queues(&self, most: usize) -> Vec<QueueRow> {
        let row = |(_, slot): (_, &Slot)| QueueRow {
            queue: slot.lane.queue,
            waiting: slot.lane.waiting(),
            in_flight: slot
                .lane
                .flight
                .as_ref()
                .map_or(0, |flight| flight.batch.agents().count()),
            retrying: slot.lane.retrying(),
        };
        self.lanes.iter().take(most).map(row).collect()
    }

    /// Agents of a PBX queue that wait for a call.
    pub fn waiting(&self, queue: PbxQueue) -> usize {
        let id = self.by_queue.get(&queue).copied();
        let slot = id.and_then(|id| self.lanes.get(id));
        slot.map_or(0, |slot| slot.lane.waiting())
    }

    /// Whose call it is that is under way; nobody's once [`Event::CallDone`] is in.
    pub fn riders(&self, call: CallId) -> impl Iterator<Item = Rider<'_>> {
        let id = self.in_flight.get(&call);
        let slot = id.and_then(|id| self.lanes.get(*id));
        let waiters = slot.into_iter().flat_map(|slot| slot.lane.called());
        waiters.map(|waiter| Rider {
            job: &waiter.job,
            target: waiter.target,
            calls: waiter.progress.calls,
        })
    }

    /// Why the engine is not yet empty, in words; `None` when nothing is held.
    pub fn pending(&self) -> Option<String> {
        let ticket = self.acks.first()?;
        let lanes: Vec<String> = self
            .queues(5)
            .into_iter()
            .map(|row| {
                format!(
                    "queue {}: {} waiting, {} called",
                    row.queue, row.waiting, row.in_flight
                )
            })
            .collect();
        Some(format!(
            "{} jobs held, the oldest {ticket:?}; {} publishes open; breaker {}; {}",
            self.acks.len(),
            self.telling.len(),
            self.breaker.reason().map_or("closed", AsRef::as_ref),
            lanes.join("; "),
        ))
    }

    fn begin_drain(&mut self) {
        if self.drain == Drain::Unasked {
            self.drain = Drain::Begun;
        }
    }

    fn is_draining(&self) -> bool {
        self.drain != Drain::Unasked
    }

    fn look_at_timers(&mut self, now: Now) {
        self.breaker.tick(now.elapsed);
        while let Some((at, id)) = self.alarms.first().copied()
            && at <= now.elapsed
        {
            self.alarms.pop_first();
            self.refresh(now.elapsed, id);
        }
        self.publish_again(now);
        if self.acks.deadline().is_some_and(|at| at <= now.elapsed) {
            self.acknowledge(false);
        }
        if self.sweep_at.is_some_and(|at| at <= now.elapsed) {
            self.sweep(now);
        }
        if self.let_go_at().is_some_and(|at| at <= now.elapsed) {
            // Who has expired is told first, and when the next one does is known.
            self.sweep(now);
            self.let_go();
        }
        if self.outage.wake_at().is_some_and(|at| at <= now.elapsed) {
            self.outage.wake();
        }
    }

    fn flush(&mut self, now: Duration, queue: PbxQueue) {
        let Some(id) = self.by_queue.get(&queue).copied() else {
            return;
        };
        if let Some(slot) = self.lanes.get_mut(id) {
            slot.lane.flush();
        }
        self.refresh(now, id);
    }

    fn rules(&self) -> Rules {
        let Settings {
            max_agents, linger, ..
        } = self.settings;
        Rules {
            max_agents,
            linger,
            pressed: self.pressed,
        }
    }

    /// Looks whether more company can still come for what gathers; where it cannot, every lane is due.
    fn feel_pressure(&mut self, now: Now) {
        let all_used_up = self.acks.len() >= self.settings.prefetch.get() || !self.has_room();
        let full = all_used_up || self.part_used_up.is_some();
        let pressed = match (self.is_draining(), full) {
            (true, _) => Some(Cause::Drain),
            (false, true) => Some(Cause::Prefetch),
            (false, false) => None,
        };
        let grew = pressed.is_some() && self.pressed != pressed;
        self.pressed = pressed;
        if grew {
            // The longest wait first: where pressure comes and goes, the last in any fixed order would always be the last.
            let ids: Vec<LaneId> = self.alarms.iter().map(|(_, id)| *id).collect();
            for id in ids {
                self.refresh(now.elapsed, id);
            }
        }
    }

    /// Looks anew when a lane's next batch is due; forgets a lane that holds nothing.
    fn refresh(&mut self, now: Duration, id: LaneId) {
        let rules = self.rules();
        let Some(slot) = self.lanes.get_mut(id) else {
            return;
        };
        if let Some(at) = slot.alarm.take() {
            self.alarms.remove(&(at, id));
        }
        if slot.queued || slot.lane.flight.is_some() {
            return;
        }
        match slot.lane.due(now, &rules) {
            Due::Now => {
                slot.queued = true;
                slot.pressed = rules.pressed;
                self.turn.push_back(id);
            }
            Due::At(at) => {
                slot.alarm = Some(at);
                self.alarms.insert((at, id));
            }
            Due::Never if slot.lane.is_empty() => {
                self.failing.forget(id);
                self.by_queue.remove(&slot.lane.queue);
                self.lanes.remove(id);
            }
            Due::Never => {}
        }
    }

    /// Unless somebody wants it otherwise, new deliveries are taken while calls may be made; when the breaker waits for a
    /// probe and nothing is held that could be one; and when all that is held has failed as one. But in a long outage only once
    /// the PBX may be back, or a job has expired.
    fn decide_intake(&mut self) {
        if self.breaker.is_closed() {
            self.outage.is_over();
        }
        let wanted = match self.breaker.permit() {
            Permit::Call => true,
            Permit::Probe => self.lanes.iter().all(|(_, slot)| slot.lane.waiting() == 0),
            Permit::Nothing => false,
        };
        let (agents, queues) = (self.ledger.owed(), self.lanes.len());
        let wanted = wanted || self.breaker.needs_others(agents, queues);
        let wanted = wanted && !self.outage.is_asleep();
        let open = wanted && !self.is_draining() && !self.paused;
        if open != self.intake_open {
            self.intake_open = open;
            self.effects.push(Effect::Intake { open });
        }
    }

    /// Acknowledges what is finished and has waited long enough for those before it; `at_once`, all that is finished.
    fn acknowledge(&mut self, at_once: bool) {
        let due = self.acks.take(self.now, at_once || self.is_draining());
        self.settle(due, Disposition::Ack);
    }

    fn settle(&mut self, deliveries: Vec<Arrived>, disposition: Disposition) {
        for (ticket, since) in deliveries {
            let held_for = self.now.saturating_sub(since);
            self.effects.push(Effect::Settle {
                ticket,
                disposition,
                held_for,
            });
        }
    }

    /// The session is over: tickets and publishes are void; calls go on and are remembered.
    fn void(&mut self, now: Now) {
        self.part_used_up = None;
        // What was told and not confirmed is told again as soon as it comes back.
        let untold = (self.telling.len() > 0).then_some(self.now);
        self.outage.session_ended(untold.or(self.sweep_at));
        self.acks.void();
        self.ledger.void();
        self.telling.void();
        let ids: Vec<LaneId> = self.lanes.iter().map(|(id, _)| id).collect();
        for id in ids {
            let mut leavers = lane::Leavers::default();
            if let Some(slot) = self.lanes.get_mut(id) {
                slot.lane.void(&mut leavers);
            }
            self.depart(now, leavers);
            self.refresh(now.elapsed, id);
        }
    }

    fn give_back(&mut self) {
        self.begin_drain();
        self.acknowledge(false);
        let undone = self.acks.void();
        self.settle(undone, Disposition::GiveBack);
        self.ledger.void();
        self.telling.void();
        self.in_flight.clear();
        self.failing.forgive_all();
        // What was given back must not be called any more: another worker may have it by now.
        self.lanes.clear();
        self.by_queue.clear();
        self.turn.clear();
        self.alarms.clear();
    }

    fn note_drained(&mut self) {
        let empty = self.acks.len() == 0 && self.in_flight.is_empty();
        if self.drain == Drain::Begun && empty {
            self.drain = Drain::Over;
            self.effects.push(Effect::Drained);
        }
    }
}

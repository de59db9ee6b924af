//! The worker's every decision, as a pure state machine: `step(now, Event) -> Effects`.
//!
//! No I/O, no clock, no randomness of its own: time comes in with each event and a seed at birth, so a run replays.

pub mod batch;
pub mod job;
pub mod outcome;
pub mod verdict;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use batch::Batch;
use job::{Action, Agent, Epoch, Job, PbxQueue, Ticket, Timestamp};
use outcome::{Code, Outcome};
use verdict::CallResult;

/// The time of an event, twice: one clock to measure with, one to compare with the producers' clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the worker's start, never going back.
    pub elapsed: Duration,
    /// The wall clock.
    pub wall: Timestamp,
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
    /// The broker session ended: its tickets are void, and so is every publish not yet answered.
    ChannelLost {
        epoch: Epoch,
    },
    /// A deadline of [`Engine::next_deadline`] has come.
    Tick,
    StopRequested,
    /// The grace period ran out: what is left goes back.
    GraceEnded,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// Done: acknowledged.
    Ack,
    /// Given back to RabbitMQ (nack with requeue), undone.
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
    Tell {
        tell: TellId,
        outcome: Arc<Outcome>,
    },
    Bury {
        ticket: Ticket,
        letter: DeadLetter,
    },
    Settle {
        ticket: Ticket,
        disposition: Disposition,
    },
    /// The drain is over: nothing is held any more.
    Drained,
}

/// The worker's state and rules. See the module page; the invariants stand in `lib.rs`.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    effects: Vec<Effect>,
}

/// What the engine holds, for readiness, metrics and `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Jobs held: delivered and not yet settled.
    pub held: usize,
    /// Why the breaker is open; `None` while it is closed.
    pub breaker_open: Option<Arc<str>>,
    /// Outcomes or dead letters that no queue took and that are held for another try.
    pub unroutable: usize,
    pub calls_in_flight: usize,
    pub draining: bool,
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
    pub fn new(settings: Settings, _seed: u64) -> Self {
        Self {
            settings,
            effects: Vec::new(),
        }
    }

    /// Lets one thing happen. Timers that are due are looked at first, whatever the event.
    pub fn step(&mut self, _now: Now, _event: Event) -> std::vec::Drain<'_, Effect> {
        let _ = &self.settings;
        self.effects.drain(..)
    }

    /// When to send the next [`Event::Tick`], as [`Now::elapsed`]; `None` while nothing waits for time to pass.
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }

    /// Whether another delivery may be handed in; `false` while the agents held reach their bound.
    pub fn has_room(&self) -> bool {
        true
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    /// Why the engine is not yet empty, in words; `None` when nothing is held.
    pub fn pending(&self) -> Option<String> {
        None
    }
}

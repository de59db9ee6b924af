//! Notices when nothing moves that should: first the broker side is to be rebuilt, and if that does not help, the
//! process is to count as dead.
//!
//! Pure: it looks at what the worker shows it, once a beat, with the time as an argument. It never takes for a stall
//! what has its reason: RabbitMQ that is away, an open breaker, a memory alarm. A refusal is an answer:
//! another node may give another, so there are rebuilds for it, but ever more rarely, and the process never counts as dead for it.
//! So there are where no job comes that would have to: that may be a standby's idleness.

use std::mem;
use std::time::Duration;

use super::answers::Standing;
use crate::broker::{Pulse, QueuePulse};
use crate::engine;

/// Longest that the broker side takes for one attempt to connect, by its own bounds, and the wait before it.
const ATTEMPT_MAX: Duration = Duration::from_secs(80);

/// Times that a patience doubles: from a minute to six weeks.
const DOUBLINGS_MAX: u32 = 16;

/// Exchanges that the worker publishes to: of outcomes and of dead letters.
const EXCHANGES: usize = 2;

/// What should move and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stall {
    #[error("the broker side gives no sign of life")]
    Silence,
    #[error("jobs wait in RabbitMQ and none is delivered")]
    JobsWait,
    #[error(
        "jobs wait in RabbitMQ, nobody takes any, and the latest went to no queue of this worker, which is well only if another is busy with them"
    )]
    Unserved,
    #[error("RabbitMQ confirms nothing of what was published")]
    NoConfirm,
    #[error("RabbitMQ refuses everything that is published")]
    Refused,
    #[error("jobs are held and nothing is under way for them")]
    Forgotten,
}

/// What the worker shows of itself.
#[derive(Debug)]
pub(super) struct Vitals<'w> {
    pub(super) connected: bool,
    pub(super) subscribed: bool,
    /// Of this session.
    pub(super) pulse: Option<&'w Pulse>,
    /// Sessions, pulses and failed attempts to connect, so far.
    pub(super) signs: u64,
    /// How publishing to each exchange stands, always in the same order.
    pub(super) publishing: [Standing; EXCHANGES],
    pub(super) engine: &'w engine::Snapshot,
}

#[derive(Debug)]
pub(super) struct Watchdog {
    patience: Duration,
    silence: Watch,
    confirms: Watch,
    refusals: [Watch; EXCHANGES],
    forgotten: Watch,
    unserved: Watch,
    /// How often something happened to the queues with jobs for us.
    taken: u64,
    queues: Vec<QueueWatch>,
}

impl Watchdog {
    /// `patience`: how long something may be owed without moving, before a rebuild and once more after it.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            silence: Watch::default(),
            confirms: Watch::default(),
            refusals: Default::default(),
            forgotten: Watch::default(),
            unserved: Watch::default(),
            taken: 0,
            queues: Vec::new(),
        }
    }

    /// Why the broker side is to be rebuilt now, if it is.
    pub(super) fn look(&mut self, now: Duration, vitals: &Vitals<'_>) -> Option<Stall> {
        let Vitals { engine, signs, .. } = *vitals;
        let answers = vitals.publishing.iter().map(|to| to.answered).sum();
        let patience = self.patience;
        let silence_max = if vitals.connected {
            patience
        } else {
            patience.max(ATTEMPT_MAX)
        };
        let blocked = vitals.pulse.is_some_and(|pulse| pulse.blocked);
        let confirms_owed = vitals.connected && engine.publishing > 0 && !blocked;
        // Each of them looks, whatever another has found.
        let silent = self.silence.look(now, silence_max, true, signs);
        let unconfirmed = self.confirms.look(now, patience, confirms_owed, answers);
        let forgotten = self
            .forgotten
            .look(now, patience, engine.forgotten, answers);
        let waits = self.look_at_queues(now, vitals);
        let unserved = self.look_for_service(now, engine.held);
        let refused = self.look_at_refusals(now, vitals);
        [
            (silent, Stall::Silence),
            (waits, Stall::JobsWait),
            (unserved, Stall::Unserved),
            (unconfirmed, Stall::NoConfirm),
            (refused, Stall::Refused),
            (forgotten, Stall::Forgotten),
        ]
        .into_iter()
        .find_map(|(stalled, stall)| stalled.then_some(stall))
    }

    /// What a rebuild has not mended, where to start the process anew might.
    pub(super) fn hopeless(&self) -> Option<Stall> {
        let watches = [
            (&self.silence, Stall::Silence),
            (&self.confirms, Stall::NoConfirm),
            (&self.forgotten, Stall::Forgotten),
        ];
        let queues = self
            .queues
            .iter()
            .map(|queue| (&queue.watch, Stall::JobsWait));
        watches
            .into_iter()
            .chain(queues)
            .find_map(|(watch, stall)| (watch.rebuilds > 1).then_some(stall))
    }

    /// Every rebuild uses up one of the deliveries that a job has, and refusals can last for days: so the next waits twice as long.
    fn look_at_refusals(&mut self, now: Duration, vitals: &Vitals<'_>) -> bool {
        let mut stalled = false;
        for (watch, to) in self.refusals.iter_mut().zip(vitals.publishing) {
            let patience = watch.doubled(self.patience);
            stalled |= watch.look(now, patience, to.refused, to.taken);
        }
        stalled
    }

    /// A worker that has the latest job of no shard may be a standby, or cut off where it should be served. A standby loses nothing
    /// by a rebuild and gains nothing, if it holds none.
    fn look_for_service(&mut self, now: Duration, held: usize) -> bool {
        let served = held > 0 || self.queues.iter().any(|queue| queue.ours);
        let waiting = || self.queues.iter().filter(|queue| queue.waits);
        let taken = waiting().map(|queue| queue.moves).sum();
        // What another takes begins the time anew and makes it no shorter: a standby is to try ever more rarely.
        let is_idle = mem::replace(&mut self.taken, taken) == taken;
        let owed = !served && is_idle && waiting().next().is_some();
        let patience = self.unserved.doubled(self.patience);
        self.unserved.look(now, patience, owed, 0)
    }

    fn look_at_queues(&mut self, now: Duration, vitals: &Vitals<'_>) -> bool {
        let rows = vitals.pulse.map_or(&[][..], |pulse| &pulse.queues);
        if self.queues.len() < rows.len() {
            self.queues.resize_with(rows.len(), QueueWatch::default);
        }
        let mut stalled = false;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let row = rows.get(index).filter(|_| vitals.subscribed);
            stalled |= queue.look(now, self.patience, row);
        }
        stalled
    }
}

/// One thing that may be owed, and is expected to move while it is.
#[derive(Debug, Default)]
struct Watch {
    /// Changes whenever it moves.
    mark: u64,
    /// Since when it is owed and has not moved, or since the last rebuild for it.
    still_since: Option<Duration>,
    owed_last: Duration,
    /// Since it moved, or was last owed nothing for as long as patience.
    rebuilds: u32,
}

impl Watch {
    /// Twice as long for each rebuild that did not help.
    fn doubled(&self, patience: Duration) -> Duration {
        patience.saturating_mul(1 << self.rebuilds.min(DOUBLINGS_MAX))
    }

    /// Whether patience has just run out.
    fn look(&mut self, now: Duration, patience: Duration, owed: bool, mark: u64) -> bool {
        let forgiven = !owed && now.saturating_sub(self.owed_last) >= patience;
        if mark != self.mark || forgiven {
            self.rebuilds = 0;
        }
        if mark != self.mark || !owed {
            self.mark = mark;
            self.still_since = None;
        }
        if !owed {
            return false;
        }
        self.owed_last = now;
        let since = *self.still_since.get_or_insert(now);
        if now.saturating_sub(since) < patience {
            return false;
        }
        self.still_since = Some(now);
        self.rebuilds = self.rebuilds.saturating_add(1);
        true
    }
}

/// Deliveries of one jobs queue.
#[derive(Debug, Default)]
struct QueueWatch {
    watch: Watch,
    moves: u64,
    ready: u32,
    delivered: u64,
    /// The latest that was taken from the queue came to us. Of several workers one is served; the others stand by, and
    /// cannot tell why they get nothing: RabbitMQ counts the active consumer only.
    ours: bool,
    /// The last row that differed from the one before had a delivery to us. Its ready count may be older than that delivery, so
    /// what falls in the next one may still be ours.
    just_came: bool,
    /// It has jobs, and we are subscribed with room for them.
    waits: bool,
}

impl QueueWatch {
    /// `row`: `None` while we are not subscribed.
    fn look(&mut self, now: Duration, patience: Duration, row: Option<&QueuePulse>) -> bool {
        self.waits = row.is_some_and(|row| row.ready > 0 && row.room);
        let Some(row) = row else {
            return self.watch.look(now, patience, false, self.moves);
        };
        let came = row.delivered != self.delivered && row.delivered > 0;
        let fell = row.ready < self.ready;
        if came {
            self.ours = true;
        } else if fell && !self.just_came {
            self.ours = false;
        }
        if came || row.ready != self.ready {
            self.just_came = came;
        }
        self.moves += u64::from(came || fell || row.ready == 0);
        (self.ready, self.delivered) = (row.ready, row.delivered);
        let should_come = self.ours || row.consumers == 0;
        let owed = self.waits && should_come;
        self.watch.look(now, patience, owed, self.moves)
    }
}

#[cfg(test)]
mod tests;

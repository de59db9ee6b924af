//! What the worker remembers of jobs that it no longer holds. Everything here is bounded.

use std::sync::Arc;
use std::time::Duration;

use super::bounded::Fifo;
use super::job::{Agent, Epoch, JobId, OutcomeId, PbxQueue, Timestamp};
use super::outcome::{Outcome, Status};
use super::verdict::Progress;

/// Most outcomes, agents and unfinished items remembered, each. More than the engine can hold at once
/// ([`super::AGENTS_HELD_MAX`]), so nothing that RabbitMQ may deliver again is forgotten before it comes.
pub(super) const REMEMBERED_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct Memory {
    dedup_window: Duration,
    ended: Fifo<OutcomeId, Ended>,
    carried_out: Fifo<Membership, Newest>,
    unfinished: Fifo<OutcomeId, Progress>,
}

/// One agent's place on one PBX queue.
type Membership = (PbxQueue, Agent);

/// A job that was carried out, and when it was asked for.
type Newest = (Timestamp, JobId);

#[derive(Debug)]
struct Ended {
    outcome: Arc<Outcome>,
    at: Duration,
    burial: Burial,
}

impl Ended {
    fn recall(&mut self, epoch: Epoch) -> Recalled {
        let bury = match self.burial {
            Burial::Settled => false,
            Burial::UnderWay(since) => since < epoch,
            Burial::Owed => true,
        };
        if bury {
            self.burial = Burial::UnderWay(epoch);
        }
        Recalled {
            outcome: Arc::clone(&self.outcome),
            bury,
        }
    }
}

/// Whether an outcome's dead letter has been published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burial {
    /// Not asked for, or confirmed.
    Settled,
    /// Being published in this epoch; owed again once the epoch is over.
    UnderWay(Epoch),
    /// Ended while its ticket was void, so no dead letter was asked for yet.
    Owed,
}

/// An outcome to tell once more.
#[derive(Debug)]
pub(super) struct Recalled {
    pub(super) outcome: Arc<Outcome>,
    /// Its dead letter never got confirmed, so it is due again.
    pub(super) bury: bool,
}

impl Memory {
    pub(super) fn new(dedup_window: Duration) -> Self {
        Self {
            dedup_window,
            ended: Fifo::new(REMEMBERED_MAX),
            carried_out: Fifo::new(REMEMBERED_MAX),
            unfinished: Fifo::new(REMEMBERED_MAX),
        }
    }

    /// The outcome of a job and agent that has ended, if this delivery counts as seen again (CONTRACT §4.7): within the
    /// dedup window, or however late if it is `known` that the job is not over or that RabbitMQ delivers it again.
    pub(super) fn recall(
        &mut self,
        id: &OutcomeId,
        now: Duration,
        epoch: Epoch,
        known: impl FnOnce() -> bool,
    ) -> Option<Recalled> {
        let ended = self.ended.get_mut(id)?;
        // An invalid message may share its job id with the corrected job that follows it.
        let seen = ended.outcome.status() != Status::Invalid
            && (now.saturating_sub(ended.at) <= self.dedup_window || known());
        if seen {
            return Some(ended.recall(epoch));
        }
        // Its job is admitted anew: what comes of that is the outcome from now on.
        self.ended.remove(id);
        None
    }

    /// The outcome of an invalid message that RabbitMQ delivers again.
    pub(super) fn recall_invalid(&mut self, id: &OutcomeId, epoch: Epoch) -> Option<Recalled> {
        let ended = self.ended.get_mut(id)?;
        (ended.outcome.status() == Status::Invalid).then(|| ended.recall(epoch))
    }

    /// `epoch`: that of the ticket by which it is told and, if it failed, buried; `None` if that ticket is void.
    pub(super) fn remember(&mut self, outcome: &Arc<Outcome>, at: Duration, epoch: Option<Epoch>) {
        let burial = match epoch {
            _ if !outcome.status().is_buried() => Burial::Settled,
            Some(epoch) => Burial::UnderWay(epoch),
            None => Burial::Owed,
        };
        self.ended.insert(
            outcome.id,
            Ended {
                outcome: Arc::clone(outcome),
                at,
                burial,
            },
        );
    }

    pub(super) fn buried(&mut self, id: &OutcomeId) {
        if let Some(ended) = self.ended.get_mut(id) {
            ended.burial = Burial::Settled;
        }
    }

    /// Notes that a job asked for at `requested_at` was carried out for this agent.
    pub(super) fn carried_out(
        &mut self,
        queue: PbxQueue,
        agent: Agent,
        requested_at: Timestamp,
        job: &JobId,
    ) {
        let key = (queue, agent);
        if self
            .carried_out
            .get(&key)
            .is_none_or(|(newest, _)| *newest < requested_at)
        {
            self.carried_out.insert(key, (requested_at, job.clone()));
        }
    }

    /// The job carried out for this agent that was asked for last, and when.
    pub(super) fn newest(&self, queue: PbxQueue, agent: Agent) -> Option<(Timestamp, &JobId)> {
        self.carried_out
            .get(&(queue, agent))
            .map(|(at, job)| (*at, job))
    }

    /// Keeps what is known of an item that is dropped unfinished, for when RabbitMQ delivers its job again.
    pub(super) fn keep_progress(&mut self, id: OutcomeId, progress: Progress) {
        if progress.calls > 0 {
            self.unfinished.insert(id, progress);
        }
    }

    pub(super) fn take_progress(&mut self, id: &OutcomeId) -> Progress {
        self.unfinished.remove(id).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::{Action, Job};
    use super::super::outcome::Code;
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    fn outcome(code: Code) -> Arc<Outcome> {
        Outcome::sample(&Job::sample("a", Action::Pause, &["570"]), 0, code, 1)
    }

    /// CONTRACT §6: one dead letter per job, none for a job merely told again; but one that was never confirmed is owed.
    #[test]
    fn a_dead_letter_is_owed_again_only_if_its_session_ended_before_the_confirm() {
        let failed = outcome(Code::Rejected);
        let again = |memory: &mut Memory, epoch| {
            memory
                .recall(&failed.id, Duration::ZERO, Epoch(epoch), || true)
                .map(|told| told.bury)
        };
        let mut memory = Memory::new(WINDOW);
        memory.remember(&failed, Duration::ZERO, Some(Epoch(1)));
        assert_eq!(again(&mut memory, 1), Some(false));
        assert_eq!(again(&mut memory, 2), Some(true));
        assert_eq!(again(&mut memory, 2), Some(false));
        memory.buried(&failed.id);
        assert_eq!(again(&mut memory, 3), Some(false));
    }

    #[test]
    fn an_invalid_message_does_not_stand_in_the_way_of_the_corrected_job() {
        let invalid = outcome(Code::BadValue);
        let mut memory = Memory::new(WINDOW);
        memory.remember(&invalid, Duration::ZERO, Some(Epoch(1)));
        assert!(memory.recall_invalid(&invalid.id, Epoch(2)).is_some());
        let corrected = memory.recall(&invalid.id, Duration::ZERO, Epoch(2), || false);
        assert!(corrected.is_none());
    }
}

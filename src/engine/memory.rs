//! What the worker remembers of jobs that it no longer holds. Everything here is bounded.

mod header;
mod index;
mod log;
mod packed;
mod ring;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::agents_held_max;
use super::bounded::Fifo;
use super::job::{AGENTS_MAX, Agent, Epoch, JobId, OutcomeId, PbxQueue, Timestamp};
use super::outcome::{Outcome, Status};
use super::verdict::Progress;
use header::{Burial, Header};
use log::{Bounds, Log};
use ring::Position;

/// Most outcomes remembered.
const OUTCOMES_MAX: usize = 100_000;

/// Most bytes of outcomes, beyond those that are remembered in any case. The usual one needs 100 to 130.
const OUTCOME_BYTES_MAX: usize = 12 << 20;

/// Most bytes of contexts and other echoes that are too large to be packed, unless more jobs can be held than they are for.
const ECHO_BYTES_MAX: usize = 16 << 20;

/// More than the largest echo.
const ECHO_BYTES_EACH: usize = 8 << 10;

#[derive(Debug)]
pub(super) struct Memory {
    dedup_window: Duration,
    outcomes: Log,
    unfinished: Fifo<OutcomeId, Progress>,
}

/// An outcome to tell once more.
#[derive(Debug)]
pub(super) struct Recalled {
    pub(super) outcome: Arc<Outcome>,
    /// Its dead letter never got confirmed, so it is due again.
    pub(super) bury: bool,
}

impl Memory {
    /// `prefetch`: most jobs that RabbitMQ may deliver again.
    pub(super) fn new(dedup_window: Duration, prefetch: NonZeroUsize) -> Self {
        // More than the engine can hold at once, so nothing that RabbitMQ may deliver again is forgotten before it comes.
        let in_any_case = 2 * (agents_held_max(prefetch) + AGENTS_MAX);
        Self {
            dedup_window,
            outcomes: Log::new(Bounds {
                outcomes: OUTCOMES_MAX,
                outcomes_min: in_any_case,
                bytes: OUTCOME_BYTES_MAX,
                echo_bytes: ECHO_BYTES_MAX.max(prefetch.get().saturating_mul(ECHO_BYTES_EACH)),
            }),
            unfinished: Fifo::new(in_any_case),
        }
    }

    /// The outcome of a job and agent that has ended, if this delivery counts as seen again (CONTRACT §4.7): within the
    /// dedup window, or however late if it is `known` that the job is not over or that RabbitMQ delivers it again.
    pub(super) fn recall(
        &mut self,
        id: OutcomeId,
        now: Duration,
        epoch: Epoch,
        known: impl FnOnce() -> bool,
    ) -> Option<Recalled> {
        let at = self.outcomes.find(id)?;
        let (header, outcome) = self.outcomes.get(at)?;
        // An invalid message may share its job id with the corrected job that follows it.
        let seen = outcome.status() != Status::Invalid
            && (now.saturating_sub(header.ended) <= self.dedup_window || known());
        if seen {
            let bury = match header.burial {
                Burial::Settled => false,
                Burial::UnderWay(since) => since < epoch,
                Burial::Owed => true,
            };
            return Some(self.tell_again(at, bury, epoch, outcome));
        }
        // Its job is admitted anew: what comes of that is the outcome from now on.
        self.outcomes.forget(id, at);
        None
    }

    /// The outcome of an invalid message that RabbitMQ delivers again. A dead letter of it that is under way belongs to a
    /// message of the same bytes, which is no reason to let this one go without.
    pub(super) fn recall_invalid(&mut self, id: OutcomeId, epoch: Epoch) -> Option<Recalled> {
        let at = self.outcomes.find(id)?;
        let (header, outcome) = self.outcomes.get(at)?;
        let bury = header.burial != Burial::Settled;
        (outcome.status() == Status::Invalid).then(|| self.tell_again(at, bury, epoch, outcome))
    }

    fn tell_again(&mut self, at: Position, bury: bool, epoch: Epoch, outcome: Outcome) -> Recalled {
        if bury {
            self.outcomes.set_burial(at, Burial::UnderWay(epoch));
        }
        let outcome = Arc::new(outcome);
        Recalled { outcome, bury }
    }

    /// `epoch`: that of the ticket by which it is told and, if it failed, buried; `None` if that ticket is void.
    pub(super) fn remember(&mut self, outcome: &Outcome, now: Duration, epoch: Option<Epoch>) {
        let burial = match epoch {
            _ if !outcome.status().is_buried() => Burial::Settled,
            Some(epoch) => Burial::UnderWay(epoch),
            None => Burial::Owed,
        };
        let header = Header {
            burial,
            id: outcome.id,
            ended: now,
        };
        let at = self.outcomes.push(header, outcome);
        if let (Status::Succeeded, Some(requested_at), Some(queue), Some(agent)) = (
            outcome.status(),
            outcome.requested_at,
            outcome.queue,
            outcome.agent,
        ) {
            self.outcomes
                .note_carried_out((queue, agent), requested_at, at);
        }
    }

    pub(super) fn buried(&mut self, id: OutcomeId) {
        if let Some(at) = self.outcomes.find(id) {
            self.outcomes.set_burial(at, Burial::Settled);
        }
    }

    /// Of the jobs carried out for this agent the one that was asked for last, and when, if that was after `requested_at`.
    pub(super) fn newer(
        &self,
        queue: PbxQueue,
        agent: Agent,
        requested_at: Timestamp,
    ) -> Option<(Timestamp, JobId)> {
        let (newest, at) = self.outcomes.carried_out(queue, agent)?;
        (newest > requested_at)
            .then(|| self.outcomes.job_id(at))
            .flatten()
            .map(|job| (newest, job))
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
                .recall(failed.id, Duration::ZERO, Epoch(epoch), || true)
                .map(|told| told.bury)
        };
        let mut memory = Memory::new(WINDOW, NonZeroUsize::MIN);
        memory.remember(&failed, Duration::ZERO, Some(Epoch(1)));
        assert_eq!(again(&mut memory, 1), Some(false));
        assert_eq!(again(&mut memory, 2), Some(true));
        assert_eq!(again(&mut memory, 2), Some(false));
        memory.buried(failed.id);
        assert_eq!(again(&mut memory, 3), Some(false));
    }

    #[test]
    fn an_invalid_message_does_not_stand_in_the_way_of_the_corrected_job() {
        let invalid = outcome(Code::BadValue);
        let mut memory = Memory::new(WINDOW, NonZeroUsize::MIN);
        memory.remember(&invalid, Duration::ZERO, Some(Epoch(1)));
        assert!(memory.recall_invalid(invalid.id, Epoch(2)).is_some());
        let corrected = memory.recall(invalid.id, Duration::ZERO, Epoch(2), || false);
        assert!(corrected.is_none());
    }

    /// Invariant 1: while the letter of the one waits for its confirm, the other may not be acknowledged without.
    #[test]
    fn of_two_invalid_messages_of_the_same_bytes_each_is_buried_until_a_letter_is_confirmed() {
        let invalid = outcome(Code::MalformedJson);
        let mut memory = Memory::new(WINDOW, NonZeroUsize::MIN);
        memory.remember(&invalid, Duration::ZERO, Some(Epoch(2)));
        let again = |memory: &mut Memory| {
            let recalled = memory.recall_invalid(invalid.id, Epoch(2));
            recalled.map(|told| told.bury)
        };
        assert_eq!(again(&mut memory), Some(true));
        memory.buried(invalid.id);
        assert_eq!(again(&mut memory), Some(false));
    }
}

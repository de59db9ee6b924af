//! The latest calls and the latest failures, for the page and `/status`.
//!
//! Written once per call and once per outcome that is a failure, so what goes well pays nothing. Bounded; never an
//! agent number of ours, though a text of the PBX may hold one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::batch::{Batch, BatchId, Cause};
use crate::engine::job::{Action, PbxQueue, Timestamp};
use crate::engine::outcome::{Code, Outcome};
use crate::engine::verdict::CallResult;

/// Most calls, and most kinds of failures, that are remembered.
pub(super) const CALLS_MAX: usize = 30;
pub(super) const FAILURES_MAX: usize = 20;

/// A call to the PBX that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) batch: BatchId,
    pub(super) queue: PbxQueue,
    pub(super) action: Action,
    pub(super) cause: Cause,
    pub(super) agents: u32,
    pub(super) done: usize,
    pub(super) attempt: u32,
    pub(super) waited: Duration,
    pub(super) took: Duration,
    /// One of [`CallResult::KINDS`].
    pub(super) result: &'static str,
    pub(super) message: Option<Arc<str>>,
}

/// Outcomes that are failures and are alike, on whichever PBX queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Of the latest of them, like the queue.
    pub(super) at: Timestamp,
    pub(super) action: Option<Action>,
    pub(super) queue: Option<PbxQueue>,
    pub(super) code: Code,
    pub(super) message: Option<Arc<str>>,
    /// PBX calls for the latest of them.
    pub(super) attempts: u32,
    pub(super) count: u64,
}

impl Failure {
    fn of(outcome: &Outcome) -> Self {
        let conclusion = &outcome.conclusion;
        Self {
            at: conclusion.completed_at,
            action: outcome.action,
            queue: outcome.queue,
            code: conclusion.code,
            message: conclusion.message.clone(),
            attempts: conclusion.attempts,
            count: 1,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let kind = |failure: &Self| (failure.action, failure.code);
        kind(self) == kind(other) && self.message == other.message
    }
}

/// See the module page. One per process.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Told>);

/// Both newest first.
#[derive(Debug, Default)]
struct Told {
    calls: VecDeque<Call>,
    failures: VecDeque<Failure>,
}

impl Recent {
    /// A call ended at `at`, `took` after it began.
    pub fn called(&self, at: Timestamp, batch: &Batch, result: &CallResult, took: Duration) {
        let done = match result {
            CallResult::Answered(items) => {
                let done = items
                    .iter()
                    .filter(|item| item.answer.achieves(batch.action));
                done.count()
            }
            CallResult::Refused { .. }
            | CallResult::Transient { .. }
            | CallResult::Ambiguous { .. }
            | CallResult::Fault { .. } => 0,
        };
        let call = Call {
            at,
            batch: batch.id,
            queue: batch.queue,
            action: batch.action,
            cause: batch.cause,
            agents: batch.size(),
            done,
            attempt: batch.attempt,
            waited: batch.waited,
            took,
            result: result.kind(),
            message: result.message().cloned(),
        };
        let calls = &mut self.told().calls;
        calls.truncate(CALLS_MAX - 1);
        calls.push_front(call);
    }

    /// An outcome was told. Nothing is kept of those that are no failures.
    pub fn told_of(&self, outcome: &Outcome) {
        if !outcome.status().is_failure() {
            return;
        }
        let mut failure = Failure::of(outcome);
        let failures = &mut self.told().failures;
        let alike = failures.iter().position(|other| other.is_like(&failure));
        if let Some(earlier) = alike.and_then(|at| failures.remove(at)) {
            failure.count += earlier.count;
        }
        failures.truncate(FAILURES_MAX - 1);
        failures.push_front(failure);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.told().calls.iter().cloned().collect()
    }

    pub(super) fn failures(&self) -> Vec<Failure> {
        self.told().failures.iter().cloned().collect()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // A push at a time, so that a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

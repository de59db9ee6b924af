//! The log lines of everyday work: one for each call and one for each dead letter. What became of a single agent is said at
//! debug, as a shift end has thousands of them.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::engine::Counted;
use crate::engine::batch::Batch;
use crate::engine::job::{Action, JobId, PbxQueue};
use crate::engine::outcome::Outcome;
use crate::engine::verdict::{Answer, CallResult, ItemAnswer};
use crate::telemetry::field;
use crate::wire::outcome::Encoder;

/// Stands in a message for what could not be read of a job.
const UNKNOWN: &str = "_";

/// A call is over. Returns what was wrong with it as a whole, in words.
pub(super) fn call(
    encoder: &Encoder,
    batch: &Batch,
    result: &CallResult,
    took: Duration,
) -> Option<String> {
    let Batch {
        id,
        queue,
        action,
        cause,
        ..
    } = batch;
    let name = encoder.call_name(*id);
    let agents = batch.size();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let what = match result {
        CallResult::Answered(items) => {
            let Tally {
                done,
                absent,
                busy,
                refused,
            } = items.iter().fold(Tally::default(), Tally::add);
            let as_wished = items.iter().filter(|item| item.answer.achieves(*action));
            let as_wished = as_wished.count();
            info!(
                { field::BATCH } = %name, { field::QUEUE } = %queue, { field::ACTION } = %action,
                { field::AGENTS } = agents, done, absent, busy, refused, %cause, ms,
                "{action} on queue {queue}: {as_wished} of {agents} agents done"
            );
            return None;
        }
        CallResult::Refused { .. } => "the PBX refused the batch",
        CallResult::Transient { .. } => "failed, to be tried again",
        CallResult::Ambiguous { .. } => "no answer, may have been applied",
        CallResult::Fault { .. } => "fails for every job alike",
    };
    let why = result.message().map_or("", AsRef::as_ref);
    let problem = format!("{action} on queue {queue}: {what}: {why}");
    warn!(
        { field::BATCH } = %name, { field::QUEUE } = %queue, { field::ACTION } = %action,
        { field::AGENTS } = agents, %cause, ms, { field::WHY } = why,
        "{problem}"
    );
    Some(problem)
}

/// What the items of an answer say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    done: usize,
    absent: usize,
    busy: usize,
    refused: usize,
}

impl Tally {
    fn add(mut self, item: &ItemAnswer) -> Self {
        let count = match item.answer {
            Answer::Done => &mut self.done,
            Answer::Absent => &mut self.absent,
            Answer::Busy => &mut self.busy,
            Answer::NoSuchQueue | Answer::NotDynamic | Answer::Refused => &mut self.refused,
        };
        *count += 1;
        self
    }
}

/// Something became certain.
pub(super) fn counted(encoder: &Encoder, counted: &Counted) {
    match counted {
        Counted::Told { outcome, since: _ } => told(encoder, outcome),
        Counted::Buried(outcome) => buried(encoder, outcome),
        // Said where it happened.
        Counted::Unroutable => {}
    }
}

fn told(encoder: &Encoder, outcome: &Outcome) {
    let conclusion = &outcome.conclusion;
    let batch = conclusion.batch;
    debug!(
        { field::JOB_ID } = outcome.job_id.as_ref().map(tracing::field::display),
        { field::QUEUE } = outcome.queue.map(tracing::field::display),
        { field::BATCH } = batch.map(|batch| tracing::field::display(encoder.call_name(batch.id))),
        { field::CODE } = %conclusion.code,
        attempts = conclusion.attempts,
        "outcome told: {}", outcome.status()
    );
}

fn buried(encoder: &Encoder, outcome: &Outcome) {
    let conclusion = &outcome.conclusion;
    let batch = conclusion.batch;
    let code = conclusion.code;
    let why = conclusion.message.as_deref().unwrap_or(code.as_str());
    let job = outcome.job_id.as_ref().map_or(UNKNOWN, JobId::as_str);
    let action = outcome.action.map_or(UNKNOWN, Action::as_str);
    let queue = outcome.queue.as_ref().map_or(UNKNOWN, PbxQueue::as_str);
    warn!(
        { field::JOB_ID } = outcome.job_id.as_ref().map(tracing::field::display),
        { field::QUEUE } = outcome.queue.map(tracing::field::display),
        { field::BATCH } = batch.map(|batch| tracing::field::display(encoder.call_name(batch.id))),
        { field::CODE } = %code,
        { field::WHY } = why,
        "job {job} is a dead letter: {action} on queue {queue} {}: {why}", outcome.status()
    );
}

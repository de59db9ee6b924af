//! A message of the jobs queue to a [`Job`], or to the `invalid` outcome that says what is wrong (CONTRACT §2).
//!
//! Every field is read, whatever is wrong with the others, so that the outcome holds all that could be read.
//! Never fails otherwise, whatever the bytes.

pub mod document;
mod fields;
mod proof;
mod reading;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;
use std::time::Duration;

use reading::Reading;
use value::{Agents, Problem};

pub use proof::proofread;

use super::Incoming;
pub(super) use crate::engine::job::AGENTS_MAX;
use crate::engine::job::{
    Action, Agent, Echo, Job, JobHead, JobId, OutcomeId, PbxQueue, Timestamp,
};
use crate::engine::outcome::{Conclusion, Outcome};

/// Largest body of a job (CONTRACT §2).
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The bounds of its parts.
const CORRELATION_ID_CHARS_MAX: usize = 256;
const REASON_CHARS_MAX: usize = 256;
const CONTEXT_BYTES_MAX: usize = 4096;
/// A W3C `traceparent` has 55 characters; later versions may have more.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// What the worker's settings say about every job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long after `requested_at` (else after receipt) a job without `expires_at` expires; `None`: never.
    pub max_age: Option<Duration>,
    /// Every job is a dry run, whether it says so or not.
    pub dry_run: bool,
}

/// Reads a job. `now` is the time of receipt; `name` makes up an id and is called only if the message brings none.
pub fn parse(
    message: &Incoming,
    settings: &Settings,
    now: Timestamp,
    name: &mut dyn FnMut() -> JobId,
) -> Result<Job, Arc<Outcome>> {
    let received = Received {
        message,
        settings,
        now,
    };
    let reading = Reading::of(message);
    match reading.job(received, name) {
        Ok(job) => Ok(job),
        Err(problem) => Err(Arc::new(reading.invalid(&problem, received, name))),
    }
}

/// A message and the circumstances of its receipt.
#[derive(Debug, Clone, Copy)]
struct Received<'a> {
    message: &'a Incoming,
    settings: &'a Settings,
    now: Timestamp,
}

/// What could be read of a message, whether or not it is a valid job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glimpse {
    pub job_id: Option<JobId>,
    pub action: Option<Action>,
    pub queue: Option<PbxQueue>,
    pub agents: Vec<Agent>,
}

/// Looks into a message without judging it.
pub fn glimpse(message: &Incoming) -> Glimpse {
    let reading = Reading::of(message);
    let agents = reading.agents.as_ref().ok();
    Glimpse {
        job_id: known(&reading.job_id).flatten(),
        action: known(&reading.action),
        queue: known(&reading.queue),
        agents: agents.map(Agents::all).unwrap_or_default(),
    }
}

impl Reading {
    fn job(&self, received: Received<'_>, name: &mut dyn FnMut() -> JobId) -> Result<Job, Problem> {
        if let Some(problem) = self.problem() {
            return Err(problem.clone());
        }
        let Agents { first, others } = self.agents.as_ref().map_err(Problem::clone)?;
        let requested_at = self.requested_at.clone()?;
        let head = JobHead {
            id: self.job_id.clone()?.unwrap_or_else(name),
            action: self.action.clone()?,
            queue: self.queue.clone()?,
            requested_at,
            expires_at: self.expires_at.clone()?.or_else(|| {
                let max_age = i64::try_from(received.settings.max_age?.as_millis()).ok()?;
                let start = requested_at.unwrap_or(received.now);
                Some(Timestamp(start.0.saturating_add(max_age)))
            }),
            received_at: received.now,
            dry_run: self.is_dry_run(received.settings),
            replay: received.message.replay,
            echo: self.echo(received.message),
        };
        Ok(Job::new(head, *first, others))
    }

    /// The outcome of a message that is no valid job: what could be read, and what is wrong.
    fn invalid(
        &self,
        problem: &Problem,
        received: Received<'_>,
        name: &mut dyn FnMut() -> JobId,
    ) -> Outcome {
        let job_id = known(&self.job_id).flatten();
        let action = known(&self.action);
        let queue = known(&self.queue);
        let agent = self.agents.as_ref().ok().and_then(Agents::single);
        let id = OutcomeId::of(
            job_id.clone().unwrap_or_else(name).as_str(),
            queue.as_ref().map_or("", PbxQueue::as_str),
            agent.as_ref().map_or("", Agent::as_str),
            action.map_or("", Action::as_str),
            received.message.replay,
        );
        Outcome {
            id,
            job_id,
            action,
            queue,
            agent,
            dry_run: self.is_dry_run(received.settings),
            requested_at: known(&self.requested_at).flatten(),
            received_at: received.now,
            echo: Arc::new(self.echo(received.message)),
            conclusion: Conclusion {
                code: problem.kind.code(),
                message: Some(problem.message.as_str().into()),
                attempts: 0,
                batch: None,
                superseded_by: None,
                completed_at: received.now,
            },
        }
    }

    fn is_dry_run(&self, settings: &Settings) -> bool {
        settings.dry_run || matches!(self.dry_run, Ok(Some(true)))
    }

    fn echo(&self, message: &Incoming) -> Echo {
        let traceparent = message.traceparent.as_deref().filter(|text| {
            text.len() <= TRACEPARENT_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
        });
        Echo {
            correlation_id: known(&self.correlation_id).flatten(),
            reason: known(&self.reason).flatten(),
            context: known(&self.context).flatten(),
            traceparent: traceparent.map(Into::into),
        }
    }
}

fn known<T: Clone>(part: &Result<T, Problem>) -> Option<T> {
    part.as_ref().ok().cloned()
}

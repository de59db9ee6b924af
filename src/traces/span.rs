//! Which spans there are, from when to when, and what they tell of. Pure: each is made from what is known of something that is
//! over.
//!
//! The span of a job is one for each of its agents, as its outcomes are. The others hang on it: the wait until the first call,
//! each call that held the agent, and the publish of the outcome.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Rider;
use crate::engine::batch::Cause;
use crate::engine::job::Timestamp;
use crate::engine::outcome::Outcome;
use crate::wire::trace_context::JobSpan;

/// A span, to be written later.
#[derive(Debug)]
pub(super) struct Span {
    /// Itself, or the one above it.
    pub(super) job: JobSpan,
    pub(super) from: Timestamp,
    pub(super) took: Duration,
    pub(super) what: What,
}

/// What a span tells of.
#[derive(Debug)]
pub(super) enum What {
    /// One agent of a job, from receipt to what became of it.
    Job(Arc<Outcome>),
    /// The time before the first call; all of it if there was none.
    Waiting,
    /// A call that held the agent, the `attempt`th for this job.
    Call { call: Arc<Call>, attempt: u32 },
    /// The publish of an outcome, from the first try to its confirm.
    Outcome(Arc<Outcome>),
}

impl Span {
    pub(super) fn name(&self) -> &'static str {
        match self.what {
            What::Job(_) => "job",
            What::Waiting => "waiting",
            What::Call { .. } => "pbx call",
            What::Outcome(_) => "outcome",
        }
    }

    /// The same for the same thing, however often it is told of.
    pub(super) fn id(&self) -> NonZeroU64 {
        match &self.what {
            What::Job(_) => self.job.context.span_id,
            What::Waiting => self.job.child("waiting"),
            What::Call { call, .. } => self.job.child(&call.name),
            What::Outcome(_) => self.job.child(&format!("outcome {}", self.from.0)),
        }
    }

    /// The span that this one hangs on. Only that of a job may have none.
    pub(super) fn parent(&self) -> Option<NonZeroU64> {
        match self.what {
            What::Job(_) => self.job.parent,
            What::Waiting | What::Call { .. } | What::Outcome(_) => Some(self.job.context.span_id),
        }
    }
}

/// A call to the PBX, the same for all whom it was for.
#[derive(Debug)]
pub(super) struct Call {
    /// As in outcomes.
    pub(super) name: String,
    /// Agents in it.
    pub(super) size: u32,
    pub(super) cause: Cause,
    /// How it ended, as in metrics.
    pub(super) kind: &'static str,
    /// What was wrong with it as a whole.
    pub(super) message: Option<Arc<str>>,
    pub(super) began: Timestamp,
    pub(super) took: Duration,
}

/// The spans of an outcome that was first published at `since` and confirmed at `now`.
pub(super) fn told(
    outcome: &Arc<Outcome>,
    since: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = Span> {
    let (received, completed) = (outcome.received_at, outcome.conclusion.completed_at);
    let waited = outcome.conclusion.attempts == 0 && completed > received;
    let spans = JobSpan::of_outcome(outcome).map(|job| {
        let span = |from, until, what| Span {
            job,
            from,
            took: between(from, until),
            what,
        };
        [
            Some(span(received, completed, What::Job(Arc::clone(outcome)))),
            waited.then(|| span(received, completed, What::Waiting)),
            Some(span(since, now, What::Outcome(Arc::clone(outcome)))),
        ]
    });
    spans.into_iter().flatten().flatten()
}

/// The spans of a call that is over, for one of those whom it was for.
pub(super) fn called(call: &Arc<Call>, rider: Rider<'_>) -> impl Iterator<Item = Span> {
    let received = rider.job.received_at;
    let traceparent = rider.job.echo.traceparent.as_deref();
    let spans = JobSpan::of(rider.target.outcome_id, traceparent).map(|job| {
        let waited = (rider.calls == 0).then(|| Span {
            job,
            from: received,
            took: between(received, call.began),
            what: What::Waiting,
        });
        let called = Span {
            job,
            from: call.began,
            took: call.took,
            what: What::Call {
                call: Arc::clone(call),
                attempt: rider.calls + 1,
            },
        };
        [waited, Some(called)]
    });
    spans.into_iter().flatten().flatten()
}

/// Nothing where the wall clock went back.
fn between(from: Timestamp, until: Timestamp) -> Duration {
    let ms = until.0.saturating_sub(from.0);
    Duration::from_millis(ms.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batch::{BatchId, Cause};
    use crate::engine::job::{Action, Agent, Echo, Job, JobHead, JobId, PbxQueue};
    use crate::engine::outcome::{BatchRef, Code, Conclusion};

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn job(traceparent: &str) -> Job {
        let head = JobHead {
            id: JobId::parse("j-1").unwrap(),
            action: Action::Pause,
            queue: PbxQueue::parse("10000").unwrap(),
            requested_at: None,
            expires_at: None,
            received_at: Timestamp(1_000),
            dry_run: false,
            replay: None,
            echo: Echo {
                traceparent: Some(traceparent.into()),
                ..Echo::default()
            },
        };
        Job::new(head, Agent::parse("570").unwrap(), &[])
    }

    fn outcome(traceparent: &str, attempts: u32) -> Arc<Outcome> {
        let conclusion = Conclusion {
            code: Code::Applied,
            message: None,
            attempts,
            batch: Some(BatchRef {
                id: BatchId(7),
                size: 3,
            }),
            superseded_by: None,
            completed_at: Timestamp(1_900),
        };
        let job = job(traceparent);
        Arc::new(Outcome::of(&job, job.targets()[0], conclusion))
    }

    /// One call of three agents, from 1,200 to 1,250.
    fn call() -> Arc<Call> {
        Arc::new(Call {
            name: "run-7".to_owned(),
            size: 3,
            cause: Cause::Linger,
            kind: "answered",
            message: None,
            began: Timestamp(1_200),
            took: Duration::from_millis(50),
        })
    }

    fn calls(traceparent: &str, calls: u32) -> Vec<Span> {
        let job = job(traceparent);
        let (target, job) = (job.targets()[0], &job);
        called(&call(), Rider { job, target, calls }).collect()
    }

    /// Name, beginning and length of a span, in ms.
    type Shape = (&'static str, i64, u128);

    fn shape(spans: &[Span]) -> Vec<Shape> {
        let shape = |span: &Span| (span.name(), span.from.0, span.took.as_millis());
        spans.iter().map(shape).collect()
    }

    #[test]
    fn the_first_call_ends_the_wait() {
        let spans = calls(SAMPLED, 0);
        assert_eq!(
            shape(&spans),
            [("waiting", 1_000, 200), ("pbx call", 1_200, 50)]
        );
        let spans = calls(SAMPLED, 1);
        assert_eq!(shape(&spans), [("pbx call", 1_200, 50)]);
        assert!(matches!(spans[0].what, What::Call { attempt: 2, .. }));
    }

    #[test]
    fn an_outcome_ends_its_job_and_is_published() {
        let spans: Vec<_> =
            told(&outcome(SAMPLED, 1), Timestamp(1_900), Timestamp(1_907)).collect();
        assert_eq!(shape(&spans), [("job", 1_000, 900), ("outcome", 1_900, 7)]);
    }

    #[test]
    fn a_job_that_was_never_called_for_has_waited_all_the_time() {
        let spans: Vec<_> =
            told(&outcome(SAMPLED, 0), Timestamp(1_900), Timestamp(1_907)).collect();
        let expected = [
            ("job", 1_000, 900),
            ("waiting", 1_000, 900),
            ("outcome", 1_900, 7),
        ];
        assert_eq!(shape(&spans), expected);
    }

    #[test]
    fn all_spans_of_an_agent_hang_on_that_of_its_job() {
        let told: Vec<_> = told(&outcome(SAMPLED, 1), Timestamp(1_900), Timestamp(1_907)).collect();
        let (above, beneath) = told.split_first().unwrap();
        assert_eq!(above.parent().unwrap().get(), 0xb7ad_6b71_6920_3331);
        let called = calls(SAMPLED, 0);
        let mut ids = vec![above.id()];
        for span in beneath.iter().chain(&called) {
            assert_eq!(span.parent(), Some(above.id()), "{}", span.name());
            assert_eq!(span.job.context.trace_id, above.job.context.trace_id);
            ids.push(span.id());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn what_the_producer_does_not_record_has_no_spans() {
        assert!(calls(UNSAMPLED, 0).is_empty());
        let outcome = outcome(UNSAMPLED, 1);
        assert_eq!(
            told(&outcome, Timestamp(1_900), Timestamp(1_907)).count(),
            0
        );
    }

    #[test]
    fn a_wall_clock_that_goes_back_makes_no_endless_span() {
        let spans: Vec<_> = told(&outcome(SAMPLED, 1), Timestamp(1_900), Timestamp(5)).collect();
        assert_eq!(shape(&spans)[1], ("outcome", 1_900, 0));
    }
}

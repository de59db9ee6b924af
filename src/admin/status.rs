//! The JSON of `/livez`, `/readyz` and `/status`.

use std::time::Duration;

use serde::Serialize;

use super::View;
use super::health::{Health, LastError, Reason, ReasonCode, Snapshot};
use super::history::History;
use super::recent::{Call, Failure};
use super::verdict::{Facts, Verdict};
use crate::engine::QueueRow;
use crate::engine::job::{Action, Timestamp};
use crate::telemetry::Totals;

/// Which worker this is: settings `worker.name`, `pbx.name`, `policy.dry_run` and `dead.queue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub worker: String,
    pub pbx: String,
    pub dry_run: bool,
    pub dead_queue: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) error: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Liveness {
    pub(super) alive: bool,
    reasons: Vec<Reason>,
}

impl Liveness {
    pub(super) fn of(health: &Health) -> Self {
        let code = ReasonCode::NoProgress;
        let reason = health.lifeless().map(|message| Reason { code, message });
        Self {
            alive: reason.is_none(),
            reasons: reason.into_iter().collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    reasons: Vec<Reason>,
}

impl Readiness {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let reasons = snapshot.reasons();
        Self {
            ready: reasons.is_empty(),
            reasons,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    worker: &'a str,
    pbx: &'a str,
    version: &'static str,
    uptime_seconds: u64,
    /// No agent is ever paused or removed.
    dry_run: bool,
    verdict: Verdict,
    #[serde(flatten)]
    readiness: Readiness,
    not_ready_since: Option<String>,
    /// Why `/livez` is red.
    stalled: Option<String>,
    broker: BrokerStatus,
    breaker: BreakerStatus,
    /// Waiting in RabbitMQ, as it last said; null if it cannot be asked.
    jobs_ready: Option<u64>,
    dead: DeadStatus<'a>,
    held: usize,
    calls_in_flight: usize,
    /// Somebody wants no new jobs to be taken.
    paused: bool,
    /// Whether actions may be asked for.
    actions: bool,
    queues: Vec<QueueStatus>,
    totals: Totals,
    history: History,
    /// Newest first, here and below.
    batches: Vec<BatchStatus>,
    failures: Vec<FailureStatus>,
    /// Oldest first.
    last_errors: Vec<ErrorStatus>,
}

/// The queue of dead letters.
#[derive(Debug, Serialize)]
struct DeadStatus<'a> {
    queue: &'a str,
    /// As of `jobs_ready`; counts all that wait, of whichever worker and since whenever.
    ready: Option<u32>,
}

#[derive(Debug, Serialize)]
struct BrokerStatus {
    connected: bool,
    subscribed: bool,
    reconnects: u64,
}

#[derive(Debug, Serialize)]
struct BreakerStatus {
    open: bool,
    reason: Option<String>,
    next_probe: Option<String>,
}

#[derive(Debug, Serialize)]
struct QueueStatus {
    queue: String,
    waiting: usize,
    in_flight: usize,
    retrying: usize,
}

/// A call to the PBX that is over.
#[derive(Debug, Serialize)]
struct BatchStatus {
    at: String,
    /// Counts the calls of this process.
    batch: u64,
    queue: String,
    action: &'static str,
    cause: &'static str,
    agents: u32,
    done: usize,
    attempt: u32,
    /// Since the first of its jobs came.
    waited_ms: u64,
    took_ms: u64,
    result: &'static str,
    message: Option<String>,
}

/// Outcomes that are failures and are alike.
#[derive(Debug, Serialize)]
struct FailureStatus {
    at: String,
    action: Option<&'static str>,
    /// Of the latest of them.
    queue: Option<String>,
    status: &'static str,
    code: &'static str,
    message: Option<String>,
    attempts: u32,
    count: u64,
}

#[derive(Debug, Serialize)]
struct ErrorStatus {
    at: String,
    message: String,
}

impl<'a> Status<'a> {
    pub(super) fn of(view: &'a View, history: History) -> Self {
        let View {
            identity,
            health,
            metrics,
            actions,
            runtime: _,
        } = view;
        let snapshot = health.snapshot();
        let readiness = Readiness::of(&snapshot);
        let Snapshot {
            broker,
            engine,
            queues,
            jobs_ready,
            dead_ready,
            not_ready_since,
            next_probe,
        } = snapshot;
        let stalled = health.lifeless();
        let verdict = Verdict::of(Facts {
            stalled: stalled.is_some(),
            reasons: &readiness.reasons,
            dry_run: identity.dry_run,
            held: engine.held,
            jobs_ready,
            history: &history,
        });
        Self {
            worker: &identity.worker,
            pbx: &identity.pbx,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: health.uptime().as_secs(),
            dry_run: identity.dry_run,
            verdict,
            readiness,
            not_ready_since: not_ready_since.map(rfc3339),
            stalled,
            broker: BrokerStatus {
                connected: broker.connected,
                subscribed: broker.subscribed,
                reconnects: metrics.reconnects(),
            },
            breaker: BreakerStatus {
                open: engine.breaker_open.is_some(),
                reason: engine.breaker_open.as_deref().map(str::to_owned),
                next_probe: next_probe.map(rfc3339),
            },
            jobs_ready,
            dead: DeadStatus {
                queue: &identity.dead_queue,
                ready: dead_ready,
            },
            held: engine.held,
            calls_in_flight: engine.calls_in_flight,
            paused: engine.paused,
            actions: actions.is_some(),
            queues: queues.iter().map(QueueStatus::of).collect(),
            totals: metrics.totals(),
            history,
            batches: rows(&health.recent.calls(), BatchStatus::of),
            failures: rows(&health.recent.failures(), FailureStatus::of),
            last_errors: rows(&health.errors(), ErrorStatus::of),
        }
    }
}

impl QueueStatus {
    fn of(row: &QueueRow) -> Self {
        let &QueueRow {
            queue,
            waiting,
            in_flight,
            retrying,
        } = row;
        Self {
            queue: queue.to_string(),
            waiting,
            in_flight,
            retrying,
        }
    }
}

impl BatchStatus {
    fn of(call: &Call) -> Self {
        Self {
            at: rfc3339(call.at),
            batch: call.batch.0,
            queue: call.queue.to_string(),
            action: call.action.as_str(),
            cause: call.cause.as_str(),
            agents: call.agents,
            done: call.done,
            attempt: call.attempt,
            waited_ms: milliseconds(call.waited),
            took_ms: milliseconds(call.took),
            result: call.result,
            message: call.message.as_deref().map(str::to_owned),
        }
    }
}

impl FailureStatus {
    fn of(failure: &Failure) -> Self {
        Self {
            at: rfc3339(failure.at),
            action: failure.action.map(Action::as_str),
            queue: failure.queue.map(|queue| queue.to_string()),
            status: failure.code.status().as_str(),
            code: failure.code.as_str(),
            message: failure.message.as_deref().map(str::to_owned),
            attempts: failure.attempts,
            count: failure.count,
        }
    }
}

impl ErrorStatus {
    fn of(error: &LastError) -> Self {
        Self {
            at: rfc3339(error.at),
            message: error.message.clone(),
        }
    }
}

fn rows<T, R>(remembered: &[T], row: fn(&T) -> R) -> Vec<R> {
    remembered.iter().map(row).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// UTC, milliseconds.
fn rfc3339(Timestamp(ms): Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

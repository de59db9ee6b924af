//! The JSON of `/livez`, `/readyz` and `/status`.

use serde::Serialize;

use super::health::{Health, LastError, Reason, ReasonCode, Snapshot};
use crate::engine::QueueRow;
use crate::engine::job::Timestamp;
use crate::telemetry::{Metrics, Totals};

/// Which worker this is: settings `worker.name` and `pbx.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub worker: String,
    pub pbx: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) error: &'static str,
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
    #[serde(flatten)]
    readiness: Readiness,
    broker: BrokerStatus,
    breaker: BreakerStatus,
    held: usize,
    calls_in_flight: usize,
    queues: Vec<QueueStatus>,
    totals: Totals,
    last_errors: Vec<ErrorStatus>,
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
}

#[derive(Debug, Serialize)]
struct QueueStatus {
    queue: String,
    waiting: usize,
    in_flight: usize,
    retrying: usize,
}

#[derive(Debug, Serialize)]
struct ErrorStatus {
    at: String,
    message: String,
}

impl<'a> Status<'a> {
    pub(super) fn of(identity: &'a Identity, health: &Health, metrics: &Metrics) -> Self {
        let snapshot = health.snapshot();
        let readiness = Readiness::of(&snapshot);
        let Snapshot {
            broker,
            engine,
            queues,
        } = snapshot;
        Self {
            worker: &identity.worker,
            pbx: &identity.pbx,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: health.uptime().as_secs(),
            readiness,
            broker: BrokerStatus {
                connected: broker.connected,
                subscribed: broker.subscribed,
                reconnects: metrics.reconnects(),
            },
            breaker: BreakerStatus {
                open: engine.breaker_open.is_some(),
                reason: engine.breaker_open.as_deref().map(str::to_owned),
            },
            held: engine.held,
            calls_in_flight: engine.calls_in_flight,
            queues: queues.iter().map(QueueStatus::of).collect(),
            totals: metrics.totals(),
            last_errors: health.errors().into_iter().map(ErrorStatus::of).collect(),
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

impl ErrorStatus {
    fn of(LastError { at, message }: LastError) -> Self {
        Self {
            at: rfc3339(at),
            message,
        }
    }
}

/// UTC, milliseconds.
fn rfc3339(Timestamp(ms): Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

//! What the worker last said of itself, where the endpoints can read it.
//!
//! Written by the worker's loop, read by requests; the lock is held for a copy, never across an await.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::recent::Recent;
use crate::engine;
use crate::engine::QueueRow;
use crate::engine::job::Timestamp;

/// Most PBX queues shown; a worker may know more.
pub const QUEUES_MAX: usize = 1_000;

/// Most errors remembered, and the longest that each may be, in characters.
const ERRORS_MAX: usize = 20;
const ERROR_CHARS_MAX: usize = 500;

/// Longest silence of the worker's loop that passes for life. The loop beats each second, whatever happens outside.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How the broker side stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Broker {
    pub connected: bool,
    /// A standby of a single active consumer is subscribed too.
    pub subscribed: bool,
}

/// The worker at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub broker: Broker,
    pub engine: engine::Snapshot,
    /// At most [`QUEUES_MAX`].
    pub queues: Vec<QueueRow>,
    /// Jobs that wait in RabbitMQ, as it last said; `None` if it cannot be asked.
    pub jobs_ready: Option<u64>,
    /// Dead letters that wait there, likewise.
    pub dead_ready: Option<u32>,
    /// Since when there have been reasons why it is not ready; `None` while it is.
    pub not_ready_since: Option<Timestamp>,
    /// When the next call tries a PBX that fails, if that is known.
    pub next_probe: Option<Timestamp>,
}

/// Why a worker is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    BrokerDisconnected,
    NotSubscribed,
    BreakerOpen,
    ResultsUnroutable,
    /// Somebody wants no new jobs to be taken.
    Paused,
    Draining,
    /// Not alive: the worker's loop is silent, or nothing moves that should.
    NoProgress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub code: ReasonCode,
    pub message: String,
}

impl Snapshot {
    /// Empty if the worker is ready (CONTRACT §9).
    pub fn reasons(&self) -> Vec<Reason> {
        let Self { broker, engine, .. } = self;
        let mut reasons = Vec::new();
        let mut add = |code, message| reasons.push(Reason { code, message });
        // An open breaker and a pause cancel the consumer on purpose, and a drain opens none; that is no reason of its own.
        let should_be_subscribed =
            engine.breaker_open.is_none() && !engine.paused && !engine.draining;
        if !broker.connected {
            add(
                ReasonCode::BrokerDisconnected,
                "not connected to RabbitMQ; trying on".to_owned(),
            );
        } else if !broker.subscribed && should_be_subscribed {
            add(
                ReasonCode::NotSubscribed,
                "not subscribed to the jobs queue".to_owned(),
            );
        }
        if let Some(why) = &engine.breaker_open {
            add(
                ReasonCode::BreakerOpen,
                format!("no calls are made, the PBX fails: {why}"),
            );
        }
        if engine.unroutable > 0 {
            let message = format!(
                "no queue takes what is published; publishes that wait: {}",
                engine.unroutable
            );
            add(ReasonCode::ResultsUnroutable, message);
        }
        if engine.paused {
            add(
                ReasonCode::Paused,
                "no jobs are taken until consuming is resumed".to_owned(),
            );
        }
        if engine.draining {
            add(
                ReasonCode::Draining,
                format!("stopping; jobs still held: {}", engine.held),
            );
        }
        reasons
    }
}

/// Something that went wrong, for `/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastError {
    pub(super) at: Timestamp,
    pub(super) message: String,
}

/// See the module page. One per process.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    /// Of the loop's last round, in milliseconds since `started`.
    beat_ms: AtomicU64,
    told: Mutex<Told>,
    pub recent: Recent,
}

#[derive(Debug, Default)]
struct Told {
    snapshot: Snapshot,
    stalled: Option<String>,
    /// Oldest first.
    errors: VecDeque<LastError>,
}

impl Health {
    /// Of a worker that started at `started`, the zero of its clock. Not ready until it says so.
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            beat_ms: AtomicU64::new(0),
            told: Mutex::default(),
            recent: Recent::default(),
        }
    }

    /// The worker's loop goes round, `elapsed` after its start.
    pub fn beat(&self, elapsed: Duration) {
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(ms, Ordering::Relaxed);
    }

    /// Replaces what was published before.
    pub fn publish(&self, mut snapshot: Snapshot) {
        snapshot.queues.truncate(QUEUES_MAX);
        self.told().snapshot = snapshot;
    }

    /// What does not move although all was tried, in words; `None` while everything does.
    pub fn stalled(&self, what: Option<String>) {
        self.told().stalled = what;
    }

    /// Remembers one error among the last; never give it an agent number.
    pub fn error(&self, at: Timestamp, message: &str) {
        let message = message.chars().take(ERROR_CHARS_MAX).collect();
        let errors = &mut self.told().errors;
        if errors.len() == ERRORS_MAX {
            errors.pop_front();
        }
        errors.push_back(LastError { at, message });
    }

    pub fn snapshot(&self) -> Snapshot {
        self.told().snapshot.clone()
    }

    pub(super) fn errors(&self) -> Vec<LastError> {
        self.told().errors.iter().cloned().collect()
    }

    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Since the loop's last round.
    pub(super) fn silence(&self) -> Duration {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        self.uptime().saturating_sub(beat)
    }

    /// Why the process should be restarted; `None` while it makes progress.
    pub fn lifeless(&self) -> Option<String> {
        let silence = self.silence();
        if silence > SILENCE_MAX {
            let seconds = silence.as_secs();
            return Some(format!("the worker's loop is silent since {seconds} s"));
        }
        let stalled = self.told().stalled.clone()?;
        Some(format!("{stalled}, and new connections did not help"))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Each write is one assignment, so a panic elsewhere leaves nothing half done.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Broker = Broker {
        connected: true,
        subscribed: true,
    };
    const CANCELLED: Broker = Broker {
        connected: true,
        subscribed: false,
    };
    const DOWN: Broker = Broker {
        connected: false,
        subscribed: false,
    };

    /// CONTRACT §9: 200 only if connected, subscribed, breaker closed and results routable.
    #[test]
    fn readiness_names_each_reason_and_no_consequence() {
        let fine = engine::Snapshot::default;
        let open = || engine::Snapshot {
            breaker_open: Some("401".into()),
            ..fine()
        };
        let held = || engine::Snapshot {
            unroutable: 2,
            ..fine()
        };
        let paused = || engine::Snapshot {
            paused: true,
            ..fine()
        };
        let draining = || engine::Snapshot {
            draining: true,
            ..fine()
        };
        let cases = [
            (UP, fine(), vec![]),
            (DOWN, fine(), vec![ReasonCode::BrokerDisconnected]),
            (CANCELLED, fine(), vec![ReasonCode::NotSubscribed]),
            (CANCELLED, open(), vec![ReasonCode::BreakerOpen]),
            (
                DOWN,
                open(),
                vec![ReasonCode::BrokerDisconnected, ReasonCode::BreakerOpen],
            ),
            (UP, held(), vec![ReasonCode::ResultsUnroutable]),
            (
                CANCELLED,
                held(),
                vec![ReasonCode::NotSubscribed, ReasonCode::ResultsUnroutable],
            ),
            (CANCELLED, paused(), vec![ReasonCode::Paused]),
            (CANCELLED, draining(), vec![ReasonCode::Draining]),
        ];
        for (broker, engine, expected) in cases {
            let snapshot = Snapshot {
                broker,
                engine,
                ..Snapshot::default()
            };
            let codes: Vec<_> = snapshot
                .reasons()
                .iter()
                .map(|reason| reason.code)
                .collect();
            assert_eq!(codes, expected, "{snapshot:?}");
        }
    }
}

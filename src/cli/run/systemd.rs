//! Tells systemd how the worker stands: ready once it is subscribed, alive as long as `/livez` says so, what it waits for,
//! and that it stops.
//!
//! Runs beside the worker's loop and on its thread, so that a loop that hangs is not reported as alive. Where no service
//! manager asks for it (`NOTIFY_SOCKET`), nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use clockout::admin::{Health, Snapshot};
use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};
use tracing::warn;

/// Well within any `WatchdogSec=` that makes sense.
const BEAT: Duration = Duration::from_secs(1);

pub(super) async fn tell(health: Arc<Health>) {
    let mut beat = time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        beat.tick().await;
        let alive = health.lifeless().is_none();
        let news = told.news(&health.snapshot(), alive);
        if let Err(why) = sd_notify::notify(&news.states()) {
            warn!("systemd cannot be told how the worker stands: {why}");
            return;
        }
    }
}

/// What systemd knows by now.
#[derive(Debug, Default)]
struct Told {
    ready: bool,
    stopping: bool,
    status: String,
}

/// What is to be said now.
#[derive(Debug, PartialEq, Eq)]
struct News<'t> {
    ready: bool,
    alive: bool,
    stopping: bool,
    status: Option<&'t str>,
}

impl Told {
    fn news(&mut self, worker: &Snapshot, alive: bool) -> News<'_> {
        let ready = worker.broker.subscribed && !self.ready;
        let stopping = worker.engine.draining && !self.stopping;
        self.ready |= ready;
        self.stopping |= stopping;
        let reasons = worker.reasons();
        let status = match reasons.as_slice() {
            [] => "works".to_owned(),
            reasons => {
                let messages: Vec<&str> = reasons.iter().map(|why| why.message.as_str()).collect();
                messages.join("; ")
            }
        };
        let is_new = status != self.status;
        self.status = status;
        News {
            ready,
            alive,
            stopping,
            status: is_new.then_some(&self.status),
        }
    }
}

impl News<'_> {
    fn states(&self) -> Vec<NotifyState<'_>> {
        [
            self.ready.then_some(NotifyState::Ready),
            self.alive.then_some(NotifyState::Watchdog),
            self.stopping.then_some(NotifyState::Stopping),
            self.status.map(NotifyState::Status),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use clockout::admin::Broker;
    use clockout::engine;

    use super::*;

    fn worker(subscribed: bool, draining: bool) -> Snapshot {
        let engine = engine::Snapshot {
            draining,
            ..engine::Snapshot::default()
        };
        let connected = subscribed;
        let broker = Broker {
            connected,
            subscribed,
        };
        Snapshot {
            broker,
            engine,
            ..Snapshot::default()
        }
    }

    #[test]
    fn it_is_ready_once_and_alive_each_time_while_it_is() {
        let mut told = Told::default();
        let waiting = told.news(&worker(false, false), true);
        assert!(!waiting.ready && waiting.alive);
        assert!(waiting.status.unwrap().contains("RabbitMQ"), "{waiting:?}");

        let works = told.news(&worker(true, false), true);
        assert!(works.ready && works.alive);
        assert_eq!(works.status, Some("works"));

        let hangs = told.news(&worker(true, false), false);
        let nothing = News {
            ready: false,
            alive: false,
            stopping: false,
            status: None,
        };
        assert_eq!(hangs, nothing);

        assert!(told.news(&worker(true, true), true).stopping);
        assert!(!told.news(&worker(true, true), true).stopping);
    }
}

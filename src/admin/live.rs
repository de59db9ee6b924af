//! The stream behind the page (server-sent events): the status once a second, for as long as somebody looks.
//!
//! However many look, a status is written down once; while nobody does, not at all. A viewer that reads slowly misses
//! some of them and makes nobody wait.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, future, stream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Most streams at a time; every other connection is left to probes and scrapes.
const VIEWERS_MAX: usize = 8;

/// Longest life of a stream; the browser asks for the next one by itself.
pub(super) const STREAM_TIME: Duration = Duration::from_mins(5);

/// How long the browser waits before it does.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// See the module page. Cheap to clone; all of them are the same.
#[derive(Debug, Clone)]
pub(super) struct Live {
    latest: watch::Sender<Arc<str>>,
    seats: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Live {
    /// Streams end when `stop` is cancelled.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            latest: watch::Sender::new(Arc::from("")),
            seats: Arc::new(Semaphore::new(VIEWERS_MAX)),
            stop,
        }
    }

    pub(super) fn has_viewers(&self) -> bool {
        self.latest.receiver_count() > 0
    }

    /// What all viewers are shown next.
    pub(super) fn show(&self, status: String) {
        self.latest.send_replace(status.into());
    }

    /// A stream that begins with `now`; `None` if there are as many as may be.
    pub(super) fn stream(&self, now: String) -> Option<Response> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let later = stream::unfold(
            (self.latest.subscribe(), seat),
            |(mut latest, seat)| async move {
                latest.changed().await.ok()?;
                let status = Arc::clone(&latest.borrow_and_update());
                Some((status, (latest, seat)))
            },
        );
        let events = stream::once(future::ready(now.into()))
            .chain(later)
            .map(|status: Arc<str>| Ok::<_, Infallible>(event(&status)))
            .take_until(self.stop.clone().cancelled_owned());
        Some(Sse::new(events).into_response())
    }
}

fn event(status: &str) -> Event {
    let event = Event::default().event("status").retry(BACK_AFTER);
    event.data(status)
}

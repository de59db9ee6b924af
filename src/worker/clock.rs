//! The process's one clock: everything else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{self, Instant};

use crate::engine::Now;
use crate::engine::job::Timestamp;

/// Counts from its creation.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub fn started(self) -> Instant {
        self.started
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the wall clock is read"
    )]
    pub fn now(self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        Now {
            elapsed: self.started.elapsed(),
            wall: Timestamp(ms),
        }
    }

    /// Ends at `deadline`, as [`Now::elapsed`]; never, if there is none.
    pub(super) async fn sleep_until(self, deadline: Option<Duration>) {
        match deadline.and_then(|deadline| self.started.checked_add(deadline)) {
            Some(at) => time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

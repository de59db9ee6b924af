//! When the PBX may next be called: the limit of calls per second, and what its `Retry-After` asked for.

use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    /// Least time between two calls; zero: no limit.
    interval: Duration,
    not_before: Duration,
}

impl Pace {
    pub(super) fn new(calls_per_second: Option<NonZeroU32>) -> Self {
        Self {
            interval: interval(calls_per_second),
            not_before: Duration::ZERO,
        }
    }

    /// Another limit, from the next call on.
    pub(super) fn limit(&mut self, calls_per_second: Option<NonZeroU32>) {
        self.interval = interval(calls_per_second);
    }

    /// The earliest moment for the next call.
    pub(super) fn not_before(&self) -> Duration {
        self.not_before
    }

    pub(super) fn called(&mut self, now: Duration) {
        self.not_before = self.not_before.max(now.saturating_add(self.interval));
    }

    /// The PBX asked to be left alone for `wait`.
    pub(super) fn hold(&mut self, now: Duration, wait: Duration) {
        self.not_before = self.not_before.max(now.saturating_add(wait));
    }
}

fn interval(calls_per_second: Option<NonZeroU32>) -> Duration {
    calls_per_second.map_or(Duration::ZERO, |n| Duration::from_secs(1) / n.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_over_the_second() {
        let mut pace = Pace::new(NonZeroU32::new(4));
        pace.called(Duration::from_secs(1));
        assert_eq!(pace.not_before(), Duration::from_millis(1250));
    }

    #[test]
    fn a_retry_after_holds_back_and_is_never_shortened() {
        let mut pace = Pace::new(None);
        pace.hold(Duration::from_secs(1), Duration::from_secs(9));
        pace.hold(Duration::from_secs(2), Duration::from_secs(1));
        pace.called(Duration::from_secs(3));
        assert_eq!(pace.not_before(), Duration::from_secs(10));
    }
}

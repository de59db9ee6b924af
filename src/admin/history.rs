//! How many jobs came, how many outcomes were told and how many of those are failures, in each of the last seconds: the
//! page's plot.
//!
//! Counted by the thread that serves the endpoints, so it goes on, and shows nothing moving, while the worker hangs.

use std::collections::VecDeque;

use serde::Serialize;

use crate::engine::outcome::Status;
use crate::telemetry::Totals;

/// Seconds that are remembered.
const SECONDS_MAX: usize = 120;

/// Seconds without a job after which it is quiet; those of the page's rate, so that no jobs flow at a rate of 0.
const QUIET_SECONDS: usize = 5;

/// Per second, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct History {
    received: VecDeque<u64>,
    outcomes: VecDeque<u64>,
    /// Of the outcomes those that are failures.
    failures: VecDeque<u64>,
    #[serde(skip)]
    last: Counts,
}

/// What was counted since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    received: u64,
    outcomes: u64,
    failures: u64,
}

impl Counts {
    fn of(totals: &Totals) -> Self {
        let failures = Status::ALL.iter().filter(|status| status.is_failure());
        let failures = failures.filter_map(|status| totals.outcomes.get(status.as_str()));
        Self {
            received: totals.received,
            outcomes: totals.outcomes.values().sum(),
            failures: failures.sum(),
        }
    }
}

impl History {
    /// A second has passed, and this is counted by now.
    pub(super) fn note(&mut self, totals: &Totals) {
        let now = Counts::of(totals);
        push(&mut self.received, now.received - self.last.received);
        push(&mut self.outcomes, now.outcomes - self.last.outcomes);
        push(&mut self.failures, now.failures - self.last.failures);
        self.last = now;
    }

    /// How many outcomes were told in the seconds that are remembered, and how many of them are failures.
    pub(super) fn outcomes_and_failures(&self) -> (u64, u64) {
        (self.outcomes.iter().sum(), self.failures.iter().sum())
    }

    /// No job came in the last seconds.
    pub(super) fn is_quiet(&self) -> bool {
        let mut latest = self.received.iter().rev().take(QUIET_SECONDS);
        latest.all(|count| *count == 0)
    }

    /// A second in which a job came.
    #[cfg(test)]
    pub(super) fn receiving() -> Self {
        Self {
            received: VecDeque::from([1]),
            ..Self::default()
        }
    }

    /// A second with so many outcomes.
    #[cfg(test)]
    pub(super) fn with(outcomes: u64, failures: u64) -> Self {
        Self {
            outcomes: VecDeque::from([outcomes]),
            failures: VecDeque::from([failures]),
            ..Self::default()
        }
    }
}

fn push(seconds: &mut VecDeque<u64>, count: u64) {
    if seconds.len() == SECONDS_MAX {
        seconds.pop_front();
    }
    seconds.push_back(count);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn totals(received: u64, succeeded: u64, expired: u64) -> Totals {
        Totals {
            received,
            settled: BTreeMap::new(),
            outcomes: BTreeMap::from([("succeeded", succeeded), ("expired", expired)]),
            outcomes_unroutable: 0,
            dead_letters: 0,
        }
    }

    #[test]
    fn each_second_shows_what_came_in_it_and_the_oldest_are_forgotten() {
        let mut history = History::default();
        history.note(&totals(7, 5, 1));
        history.note(&totals(10, 6, 3));
        assert_eq!(history.received, [7, 3]);
        assert_eq!(history.outcomes, [6, 3]);
        assert_eq!(history.failures, [1, 2]);
        assert_eq!(history.outcomes_and_failures(), (9, 3));
        for n in 1..=200 {
            history.note(&totals(10 + n, 6, 3));
        }
        assert_eq!((history.received.len(), history.received[0]), (120, 1));
        assert_eq!(history.outcomes_and_failures(), (0, 0));
    }

    #[test]
    fn it_is_quiet_after_some_seconds_without_a_job() {
        let mut history = History::default();
        assert!(history.is_quiet());
        for quiet in [false, false, false, false, false, true] {
            history.note(&totals(7, 0, 0));
            assert_eq!(history.is_quiet(), quiet);
        }
    }
}

//! How many jobs came, and how many outcomes were told, in each of the last seconds: the page's plot.
//!
//! Counted by the thread that serves the endpoints, so it goes on, and shows nothing moving, while the worker hangs.

use std::collections::VecDeque;

use serde::Serialize;

use crate::telemetry::Totals;

/// Seconds that are remembered.
const SECONDS_MAX: usize = 120;

/// Per second, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct History {
    received: VecDeque<u64>,
    outcomes: VecDeque<u64>,
    #[serde(skip)]
    last: Option<(u64, u64)>,
}

impl History {
    /// A second has passed, and this is counted by now.
    pub(super) fn note(&mut self, totals: &Totals) {
        let now = (totals.received, totals.outcomes.values().sum());
        if let Some((received, outcomes)) = self.last.replace(now) {
            push(&mut self.received, now.0 - received);
            push(&mut self.outcomes, now.1 - outcomes);
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

    fn totals(received: u64, succeeded: u64, failed: u64) -> Totals {
        Totals {
            received,
            settled: BTreeMap::new(),
            outcomes: BTreeMap::from([("succeeded", succeeded), ("failed", failed)]),
            outcomes_unroutable: 0,
            dead_letters: 0,
        }
    }

    #[test]
    fn each_second_shows_what_came_in_it_and_the_oldest_are_forgotten() {
        let mut history = History::default();
        history.note(&totals(7, 5, 1));
        assert_eq!(history.received.len(), 0);
        history.note(&totals(10, 6, 2));
        assert_eq!((history.received[0], history.outcomes[0]), (3, 2));
        for n in 1..=200 {
            history.note(&totals(10 + n, 6, 2));
        }
        assert_eq!((history.received.len(), history.received[0]), (120, 1));
        assert_eq!(history.outcomes.iter().sum::<u64>(), 0);
    }
}

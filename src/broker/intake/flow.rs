//! Whether deliveries keep coming.

use std::time::Duration;

use tokio::time::Instant;

/// Longest pause within a flow.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Least bursts that make a flow.
const BURSTS_MIN: usize = 5;

/// Shortest time that they take; what was sent in one go comes within it.
const SPAN_MIN: Duration = Duration::from_millis(100);

/// Bursts of deliveries in a row, without a long pause.
#[derive(Debug, Default)]
pub(super) struct Flow {
    row: Option<Row>,
}

#[derive(Debug)]
struct Row {
    first: Instant,
    latest: Instant,
    bursts: usize,
}

impl Flow {
    pub(super) fn note(&mut self, now: Instant) {
        match &mut self.row {
            Some(row) if now - row.latest <= PAUSE_MAX => {
                row.latest = now;
                row.bursts += 1;
            }
            row => {
                *row = Some(Row {
                    first: now,
                    latest: now,
                    bursts: 1,
                });
            }
        }
    }

    /// Whether the next burst is to be expected any moment.
    pub(super) fn goes_on(&self, now: Instant) -> bool {
        self.row.as_ref().is_some_and(|row| {
            row.bursts >= BURSTS_MIN
                && row.latest - row.first >= SPAN_MIN
                && now - row.latest <= PAUSE_MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether bursts at these milliseconds are a flow that goes on at the last.
    #[track_caller]
    fn check(bursts: &[u64], at: u64, expected: bool) {
        let start = Instant::now();
        let moment = |ms: u64| start + Duration::from_millis(ms);
        let mut flow = Flow::default();
        for burst in bursts {
            flow.note(moment(*burst));
        }
        assert_eq!(flow.goes_on(moment(at)), expected, "{bursts:?}, {at}");
    }

    #[test]
    fn a_few_bursts_or_many_in_one_go_are_no_flow() {
        check(&[], 0, false);
        check(&[0, 100, 200, 300], 310, false);
        check(&[0, 5, 10, 15, 20, 90], 95, false);
    }

    #[test]
    fn many_bursts_over_some_time_are_one_until_they_pause() {
        check(&[0, 20, 40, 60, 100], 110, true);
        check(&[0, 400, 800, 1200, 1600], 2100, true);
        check(&[0, 400, 800, 1200, 1600], 2101, false);
        check(&[0, 50, 100, 150, 700, 720], 730, false);
    }
}

//! How fast a command may send what it sends.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{self, Interval, MissedTickBehavior};

/// Most messages that go at once.
const BURST_MAX: u32 = 100;

/// With a rate, bursts go at least this often each second, so that what receives them sees no lumps.
const BURSTS_PER_SECOND: u32 = 10;

/// Lets bursts go, so many messages a second.
#[derive(Debug)]
pub(super) struct Pace {
    burst: u32,
    /// `None`: as fast as they are confirmed.
    turns: Option<Interval>,
}

impl Pace {
    /// `rate`: most messages in a second; in the first one it can be a burst more.
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        let Some(rate) = rate else {
            return Self {
                burst: BURST_MAX,
                turns: None,
            };
        };
        let burst = (rate.get() / BURSTS_PER_SECOND).clamp(1, BURST_MAX);
        let mut turns = time::interval(Duration::from_secs(1) * burst / rate.get());
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            burst,
            turns: Some(turns),
        }
    }

    /// How many messages go at once.
    pub(super) fn burst(&self) -> usize {
        usize::try_from(self.burst).unwrap_or(usize::MAX)
    }

    /// Waits until the next burst may go; the first one at once.
    pub(super) async fn turn(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bursts_and_their_distance_make_the_rate() {
        for (rate, burst, distance) in [
            (1, 1, Duration::from_secs(1)),
            (5, 1, Duration::from_millis(200)),
            (50, 5, Duration::from_millis(100)),
            (5_000, 100, Duration::from_millis(20)),
        ] {
            let pace = Pace::new(NonZeroU32::new(rate));
            assert_eq!(pace.burst(), burst, "{rate}");
            assert_eq!(pace.turns.unwrap().period(), distance, "{rate}");
        }
    }
}

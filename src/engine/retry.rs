//! How long to wait before the next attempt. The only file that knows the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

use super::RetrySettings;

/// The waits between attempts, worked out once.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// The full wait after the first, second, … attempt; after the last one it stays.
    waits: Vec<Duration>,
}

impl RetrySettings {
    /// The longest that the waits between all attempts of one agent can take together.
    pub fn longest_waits(&self) -> Duration {
        let schedule = Schedule::new(self);
        let attempts = 1..self.attempts_max.get();
        attempts.map(|attempt| schedule.after(attempt, 1.0)).sum()
    }
}

/// Attempts after which the wait no longer grows, whatever the settings say: a bound on [`Schedule`]'s memory.
const STEPS_MAX: u32 = 64;

impl Schedule {
    pub(super) fn new(settings: &RetrySettings) -> Self {
        let mut intervals = ExponentialBackoffBuilder::new()
            .with_initial_interval(settings.initial)
            .with_multiplier(settings.multiplier)
            .with_max_interval(settings.max)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let steps = settings.attempts_max.get().clamp(8, STEPS_MAX);
        Self {
            waits: (0..steps)
                .filter_map(|_| intervals.next_backoff())
                .collect(),
        }
    }

    /// The wait after `attempt` (1-based), with full jitter: `jitter`, in `0.0..1.0`, says how much of it.
    pub(super) fn after(&self, attempt: u32, jitter: f64) -> Duration {
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let full = self
            .waits
            .get(step)
            .or(self.waits.last())
            .copied()
            .unwrap_or_default();
        full.mul_f64(jitter)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn schedule(attempts_max: u32) -> Schedule {
        Schedule::new(&RetrySettings {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(10),
            attempts_max: NonZeroU32::new(attempts_max).unwrap(),
        })
    }

    #[test]
    fn waits_double_up_to_the_cap_and_stay_there() {
        let waits: Vec<_> = (1..=9)
            .map(|attempt| schedule(6).after(attempt, 1.0).as_millis())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]
        );
    }

    #[test]
    fn the_waits_of_six_attempts_are_five() {
        let settings = RetrySettings {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(2),
            attempts_max: NonZeroU32::new(6).unwrap(),
        };
        assert_eq!(settings.longest_waits(), Duration::from_millis(5750));
    }

    #[test]
    fn jitter_takes_a_share_of_the_wait() {
        assert_eq!(schedule(6).after(3, 0.25), Duration::from_millis(250));
        assert_eq!(schedule(6).after(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn an_attempt_beyond_every_bound_still_has_a_wait() {
        assert_eq!(
            schedule(u32::MAX).after(u32::MAX, 1.0),
            Duration::from_secs(10)
        );
    }
}

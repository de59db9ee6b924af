//! Whether a figure grows: the slope of a line through the second half of its samples, when start-up is over.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Serialize;

/// Growth that is taken for noise, of the mean.
const TOLERATED: f64 = 0.05;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Growth {
    /// Over the second half, as the others.
    mean: f64,
    least: f64,
    most: f64,
    /// From the half to the end, along the line.
    rise: f64,
    per_hour: f64,
    pub(super) grows: bool,
}

impl Growth {
    /// Of points in time, in seconds. `tolerated`: growth that is always taken for noise.
    pub(super) fn of(points: &[(f64, f64)], tolerated: f64) -> Result<Self> {
        let half = points.get(points.len() / 2..).unwrap_or_default();
        ensure!(half.len() > 1, "too few samples to tell a trend");
        let count = half.iter().map(|_| 1.0).sum::<f64>();
        let mean_at = half.iter().map(|point| point.0).sum::<f64>() / count;
        let mean = half.iter().map(|point| point.1).sum::<f64>() / count;
        let product = |(at, value): &(f64, f64)| (at - mean_at) * (value - mean);
        let square = |(at, _): &(f64, f64)| (at - mean_at).powi(2);
        let slope = half.iter().map(product).sum::<f64>() / half.iter().map(square).sum::<f64>();
        let extreme = |choose: fn(f64, f64) -> f64, start| {
            half.iter().map(|point| point.1).fold(start, choose)
        };
        let span =
            half.last().map_or(0.0, |last| last.0) - half.first().map_or(0.0, |first| first.0);
        let rise = slope * span;
        Ok(Self {
            mean,
            least: extreme(f64::min, f64::INFINITY),
            most: extreme(f64::max, f64::NEG_INFINITY),
            rise,
            per_hour: slope * 3600.0,
            grows: rise > tolerated.max(TOLERATED * mean),
        })
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mean,
            least,
            most,
            rise,
            per_hour,
            grows,
        } = self;
        let verdict = if *grows { "grows" } else { "does not grow" };
        write!(
            f,
            "{verdict}: {mean:.1} ({least:.1}–{most:.1}) in the second half, {rise:+.2} along it, {per_hour:+.2} in an hour"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(value: impl Fn(u32) -> f64) -> Vec<(f64, f64)> {
        (0..100).map(|n| (f64::from(n), value(n))).collect()
    }

    #[test]
    fn what_only_grew_at_the_start_does_not_grow() {
        let growth = Growth::of(&points(|n| f64::from(n.min(40))), 1.0).unwrap();
        assert!(!growth.grows && growth.rise.abs() < 1e-9);
    }

    #[test]
    fn a_steady_rise_is_growth() {
        let growth = Growth::of(&points(|n| 40.0 + f64::from(n) / 10.0), 1.0).unwrap();
        assert!(growth.grows && (growth.rise - 4.9).abs() < 1e-9);
    }

    #[test]
    fn noise_is_not_growth() {
        let growth = Growth::of(&points(|n| 40.0 + f64::from(n * 37 % 11)), 1.0).unwrap();
        assert!(!growth.grows);
    }
}

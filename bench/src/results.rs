//! What was measured, and the medians, ranges and ratios of it: what is printed, kept as JSON and plotted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// Figures by name; the name says the unit.
pub(crate) type Figures = BTreeMap<String, f64>;

/// One contestant in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    #[serde(flatten)]
    pub(crate) row: Key,
    pub(crate) round: u32,
    pub(crate) figures: Figures,
}

/// What a row of a table is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The measurement, such as `drain`.
    pub(crate) part: String,
    /// What all rows of a table share, such as the order of jobs.
    pub(crate) table: String,
    pub(crate) who: String,
    /// What sets this row apart from others of the same contestant.
    pub(crate) case: String,
    /// What was run.
    pub(crate) command: String,
}

/// Of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) figures: BTreeMap<String, Spread>,
}

/// One run of the suite.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    #[serde(flatten)]
    pub(crate) origin: Origin,
    pub(crate) rows: Vec<Row>,
    pub(crate) samples: Vec<Sample>,
    /// Measurements that came to nothing, and why.
    pub(crate) failures: Vec<String>,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let upper = *values.get(half)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least,
            most,
        })
    }
}

/// Rows in the order in which they were first measured.
pub(crate) fn rows(samples: &[Sample]) -> Vec<Row> {
    let mut keys: Vec<&Key> = Vec::new();
    for sample in samples {
        if !keys.contains(&&sample.row) {
            keys.push(&sample.row);
        }
    }
    keys.into_iter().map(|key| row(key, samples)).collect()
}

fn row(key: &Key, samples: &[Sample]) -> Row {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| &sample.row == key) {
        for (name, value) in &sample.figures {
            values.entry(name.clone()).or_default().push(*value);
        }
    }
    let spreads = values
        .into_iter()
        .filter_map(|(name, values)| Some((name, Spread::of(values)?)));
    Row {
        key: key.clone(),
        figures: spreads.collect(),
    }
}

/// Adds to each sample a figure `name`: what `ratio` makes of its own `figure` and of that of the `rival` of the same table
/// and round. A ratio of two runs of one round says more than two medians, as a machine's speed changes from minute to
/// minute.
pub(crate) fn compare(
    samples: &mut [Sample],
    (name, figure): (&str, &str),
    rival: impl Fn(&Key) -> bool,
    ratio: impl Fn(f64, f64) -> f64,
) {
    let rivals: BTreeMap<_, f64> = samples
        .iter()
        .filter(|sample| rival(&sample.row))
        .filter_map(|sample| Some((pair(sample), *sample.figures.get(figure)?)))
        .collect();
    for sample in samples {
        let both = sample.figures.get(figure).zip(rivals.get(&pair(sample)));
        let ratio = both.map(|(&own, &rival)| ratio(own, rival));
        if let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) {
            sample.figures.insert(name.to_owned(), ratio);
        }
    }
}

fn pair(sample: &Sample) -> (String, String, u32) {
    (
        sample.row.part.clone(),
        sample.row.table.clone(),
        sample.round,
    )
}

/// Figures of the given names.
pub(crate) fn figures<const N: usize>(named: [(&str, f64); N]) -> Figures {
    named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes far below 2^52"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Keeps results, in folders that are made.
pub(crate) fn keep(results: &impl Serialize, path: &Path) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder)?;
    let text = serde_json::to_string_pretty(results)?;
    fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    println!("kept in {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(table: &str, who: &str, round: u32, speed: f64) -> Sample {
        let row = Key {
            part: "drain".into(),
            table: table.into(),
            who: who.into(),
            case: String::new(),
            command: String::new(),
        };
        let figures = figures([("speed", speed)]);
        Sample {
            row,
            round,
            figures,
        }
    }

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        let spread = |median, least, most| {
            Some(Spread {
                median,
                least,
                most,
            })
        };
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![7.0]), spread(7.0, 7.0, 7.0));
        assert_eq!(Spread::of(vec![9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]), spread(3.0, 1.0, 9.0));
    }

    #[test]
    fn a_ratio_is_taken_within_a_table_and_a_round() {
        let mut samples = [
            sample("runs", "floor", 1, 100.0),
            sample("runs", "clockout", 1, 80.0),
            sample("runs", "floor", 2, 50.0),
            sample("runs", "clockout", 2, 45.0),
            sample("other", "clockout", 1, 80.0),
        ];
        let is_floor = |row: &Key| row.who == "floor";
        compare(
            &mut samples,
            ("to_floor", "speed"),
            is_floor,
            |own, rival| own / rival,
        );
        let ratios = samples.map(|sample| sample.figures.get("to_floor").copied());
        assert_eq!(ratios, [Some(1.0), Some(0.8), Some(1.0), Some(0.9), None]);
    }

    #[test]
    fn rows_stand_in_the_order_of_their_first_sample() {
        let samples = [
            sample("runs", "floor", 1, 3.0),
            sample("runs", "clockout", 1, 2.0),
            sample("runs", "clockout", 2, 4.0),
            sample("runs", "floor", 2, 5.0),
        ];
        let rows = rows(&samples);
        let medians = rows
            .iter()
            .map(|row| (row.key.who.as_str(), row.figures["speed"].median));
        assert!(medians.eq([("floor", 4.0), ("clockout", 3.0)]));
    }
}

//! What was measured, and the medians, ranges and ratios of it: what is printed, kept as JSON and plotted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// When it began, in UTC.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) versions: BTreeMap<String, String>,
    /// What was typed.
    pub(crate) command: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) samples: Vec<Sample>,
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

/// Adds to each sample how many times faster than `rival` of the same table and round it was: a ratio of two runs of one
/// round says more than two medians, as a machine's speed changes from minute to minute.
pub(crate) fn compare(
    samples: &mut [Sample],
    figure: &str,
    rival: impl Fn(&Key) -> bool,
    name: &str,
) {
    let rivals: BTreeMap<(String, String, u32), f64> = samples
        .iter()
        .filter(|sample| rival(&sample.row))
        .filter_map(|sample| Some((pair(sample), *sample.figures.get(figure)?)))
        .collect();
    for sample in samples {
        let ratio = sample
            .figures
            .get(figure)
            .zip(rivals.get(&pair(sample)))
            .map(|(own, rival)| own / rival);
        if let Some(ratio) = ratio {
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

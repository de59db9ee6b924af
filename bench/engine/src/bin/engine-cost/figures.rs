//! The figures that are kept, and how two sets of them compare.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use clap::ValueEnum as _;
use clockout_engine_cost::Scenario;
use serde::{Deserialize, Serialize};

/// What a figure may grow by before it counts as grown.
const TOLERANCE: f64 = 0.05;

const PREFACE: &str = "\
# What the engine costs, written by `make engine-cost-update`; `make check` fails if a figure grows by more than 5 %.
# instructions, allocations: per job, the test rig's own included. heap_kib: the most that was allocated at once.
";

/// What one scenario costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    instructions: u64,
    allocations: f64,
    heap_kib: u64,
}

impl Cost {
    /// From the sums over all jobs measured, and the most bytes allocated at once.
    pub(crate) fn of(
        scenario: Scenario,
        instructions: u64,
        allocations: u64,
        held_most: u64,
    ) -> Self {
        let jobs = scenario.jobs_measured() as u64;
        Self {
            instructions: instructions / jobs,
            allocations: hundredths(allocations * 100 / jobs),
            heap_kib: held_most / 1024,
        }
    }

    fn parts(&self) -> [(&'static str, f64); 3] {
        [
            ("instructions per job", whole(self.instructions)),
            ("allocations per job", self.allocations),
            ("KiB of heap", whole(self.heap_kib)),
        ]
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures that are compared with a tolerance"
)]
fn whole(figure: u64) -> f64 {
    figure as f64
}

fn hundredths(figure: u64) -> f64 {
    whole(figure) / 100.0
}

/// One figure that is not what it was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    scenario: String,
    part: &'static str,
    was: f64,
    is: f64,
}

impl Change {
    pub(crate) fn is_growth(&self) -> bool {
        self.is > self.was
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            part,
            was,
            is,
        } = self;
        let verb = if self.is_growth() { "grew" } else { "fell" };
        let percent = (is / was - 1.0) * 100.0;
        write!(
            f,
            "{scenario}: {part} {verb} from {was} to {is} ({percent:+.1} %)"
        )
    }
}

/// What every scenario costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, Cost>);

impl Figures {
    pub(crate) fn insert(&mut self, scenario: Scenario, cost: Cost) {
        if let Some(name) = scenario.to_possible_value() {
            self.0.insert(name.get_name().to_owned(), cost);
        }
    }

    pub(crate) fn from_toml(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    pub(crate) fn to_toml(&self) -> Result<String> {
        Ok(format!("{PREFACE}\n{}", toml::to_string(self)?))
    }

    /// The figures of `now` that differ by more than [`TOLERANCE`]; a scenario that is new has grown from nothing.
    pub(crate) fn compare(&self, now: &Self) -> Vec<Change> {
        let nothing = Cost::default();
        let mut changes = Vec::new();
        for (scenario, cost) in &now.0 {
            let before = self.0.get(scenario).unwrap_or(&nothing).parts();
            for ((part, was), (_, is)) in before.into_iter().zip(cost.parts()) {
                if (is - was).abs() > was * TOLERANCE {
                    let scenario = scenario.clone();
                    changes.push(Change {
                        scenario,
                        part,
                        was,
                        is,
                    });
                }
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(instructions: u64, allocations: f64) -> Figures {
        let heap_kib = 8_000;
        let cost = Cost {
            instructions,
            allocations,
            heap_kib,
        };
        Figures([("runs".to_owned(), cost)].into())
    }

    #[test]
    fn a_figure_has_changed_only_beyond_the_tolerance() {
        let was = figures(1_000, 4.0);
        let changes = |now: &Figures| {
            let changes = was.compare(now);
            let words = changes
                .iter()
                .map(|change| (change.part, change.is_growth()));
            words.collect::<Vec<_>>()
        };
        assert_eq!(changes(&figures(1_049, 3.81)), []);
        assert_eq!(
            changes(&figures(1_051, 3.79)),
            [
                ("instructions per job", true),
                ("allocations per job", false)
            ]
        );
    }

    #[test]
    fn a_scenario_that_the_file_does_not_know_counts_as_growth() {
        let changes = Figures::default().compare(&figures(1_000, 4.0));
        assert!(changes.iter().all(Change::is_growth));
        assert_eq!(changes.len(), 3);
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = figures(1_000, 4.25);
        let read = Figures::from_toml(&written.to_toml().unwrap()).unwrap();
        assert_eq!(read, written);
    }
}

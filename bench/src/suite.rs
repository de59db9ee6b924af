//! All measurements, round by round, contestants in turn.

mod drain;

use std::time::Duration;

use anyhow::Result;

use crate::results::{Figures, Key, Sample};
use crate::stage::Stage;

/// What a suite is made of, and how large.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) parts: Vec<Part>,
    /// A smaller run that tells roughly the same.
    pub(crate) quick: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// A backlog worked off, beside the floor and the peers.
    Drain,
}

/// Runs everything; says each sample as it comes.
pub(crate) async fn run(stage: &Stage, plan: &Plan) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for part in &plan.parts {
        for round in 1..=plan.rounds {
            match part {
                Part::Drain => {
                    drain::round(
                        stage,
                        plan,
                        &mut Notebook {
                            round,
                            samples: &mut samples,
                        },
                    )
                    .await?
                }
            }
        }
    }
    Ok(samples)
}

/// Where a round writes what it measured.
pub(crate) struct Notebook<'a> {
    round: u32,
    samples: &'a mut Vec<Sample>,
}

impl Notebook<'_> {
    pub(crate) fn write(&mut self, row: Key, figures: Figures) {
        let Key {
            part,
            table,
            who,
            case,
            ..
        } = &row;
        let shown: Vec<String> = figures
            .iter()
            .map(|(name, value)| format!("{name} {value:.3}"))
            .collect();
        eprintln!(
            "{part} · {table} · {who} · {case} · round {}: {}",
            self.round,
            shown.join(", ")
        );
        self.samples.push(Sample {
            row,
            round: self.round,
            figures,
        });
    }
}

fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

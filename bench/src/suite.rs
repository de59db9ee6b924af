//! All measurements, round by round, contestants in turn.

mod curves;
mod drain;
mod flow;
mod growth;
mod latency;
mod overload;
mod peers;
mod shift_end;
mod start_up;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum as _;

use crate::contestant::Contestant;
use crate::origin::Origin;
use crate::results::{self, Figures, Key, Results, Sample, figures, float};
use crate::stage::{self, Stage, pbx};
use crate::tables::{self, Column};

/// Measure, print, and keep the results as JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    stage: stage::Arguments,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Smaller, for a first look.
    #[arg(long)]
    quick: bool,
    /// Only these parts, instead of all but `overload`.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these contestants.
    #[arg(long, value_delimiter = ',')]
    who: Vec<String>,
    /// Only rows that are called exactly so, as in `--row "PBX 0 ms"`.
    #[arg(long)]
    row: Option<String>,
    #[arg(long, default_value = "target/bench/results.json")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// A backlog worked off, beside the floor and the peers.
    Drain,
    /// From a job's publish to its outcome, at 200 jobs a second.
    Latency,
    /// 8,000 jobs within one second, on a slow PBX.
    ShiftEnd,
    /// Many waiting jobs, many PBX queues, many agents in a job.
    Growth,
    /// One dead PBX queue among a hundred. Takes twenty minutes a round, and is to show whether memory is bounded and others are
    /// held up, which no noise hides: so it is measured on its own, and one round is enough.
    Overload,
    /// From the start of the process to its first consumer.
    StartUp,
    /// Calls and latency, by how much is gathered.
    Curves,
}

/// One row of a table, and how it is measured.
#[derive(Debug)]
struct Case {
    table: String,
    /// What sets the row apart from others of the same contestant.
    name: String,
    contestant: Contestant,
    load: Load,
}

/// What a contestant is put under.
#[derive(Debug, Clone, Copy)]
enum Load {
    Backlog(drain::Backlog),
    SelfTimed(drain::SelfTimed),
    Flow(flow::Flow),
    ShiftEnd,
    Overload(overload::Overload),
    StartUp,
}

pub(crate) async fn execute(arguments: Arguments) -> Result<()> {
    let stage = Stage::set(arguments.stage.clone()).await?;
    let origin = Origin::of(&stage)?;
    let parts = if arguments.only.is_empty() {
        &Part::USUAL
    } else {
        arguments.only.as_slice()
    };
    let mut results = Results {
        origin,
        rows: Vec::new(),
        samples: Vec::new(),
        failures: Vec::new(),
    };
    for part in parts {
        for round in 1..=arguments.rounds {
            let mut cases = part.cases(arguments.quick);
            cases.retain(|case| arguments.wants(case));
            // Back and forth, so that a machine that gets slower and slower favours nobody.
            if round.is_multiple_of(2) {
                cases.reverse();
            }
            for case in cases {
                let row = case.key(*part);
                let label = format!(
                    "{} · {} · {} · {} · round {round}",
                    row.part, row.table, row.who, row.case
                );
                match case.measure(&stage).await {
                    Ok(figures) => {
                        eprintln!("{label}: {}", shown(&figures));
                        results.samples.push(Sample {
                            row,
                            round,
                            figures,
                        });
                    }
                    // The others are worth having, and the end tells of it.
                    Err(error) => {
                        eprintln!("{label}: failed: {error:#}");
                        results.failures.push(format!("{label}: {error:#}"));
                    }
                }
            }
        }
        part.compare(&mut results.samples);
        results.rows = results::rows(&results.samples);
        // After each part, as all of them take an hour and more.
        results::keep(&results, &arguments.out)?;
    }
    for part in parts {
        let rows: Vec<_> = results
            .rows
            .iter()
            .filter(|row| row.key.part == part.name())
            .collect();
        tables::print(&rows, part.columns());
    }
    ensure!(
        results.failures.is_empty(),
        "failed:\n{}",
        results.failures.join("\n")
    );
    Ok(())
}

impl Arguments {
    fn wants(&self, case: &Case) -> bool {
        let who = case.contestant.name();
        (self.who.is_empty() || self.who.iter().any(|wanted| wanted == who))
            && self.row.as_ref().is_none_or(|wanted| *wanted == case.name)
    }
}

impl Part {
    /// Those that are measured if none is named.
    const USUAL: [Self; 6] = [
        Self::Drain,
        Self::Latency,
        Self::ShiftEnd,
        Self::Growth,
        Self::StartUp,
        Self::Curves,
    ];

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn cases(self, quick: bool) -> Vec<Case> {
        match self {
            Self::Drain => drain::cases(quick),
            Self::Latency => latency::cases(quick),
            Self::ShiftEnd => shift_end::cases(quick),
            Self::Growth => growth::cases(quick),
            Self::Overload => overload::cases(quick),
            Self::StartUp => start_up::cases(),
            Self::Curves => curves::cases(quick),
        }
    }

    fn compare(self, samples: &mut [Sample]) {
        match self {
            Self::Drain => drain::compare(samples),
            Self::Latency | Self::Curves => {}
            Self::ShiftEnd => shift_end::compare(samples),
            Self::Growth => growth::compare(samples),
            Self::Overload => overload::compare(samples),
            Self::StartUp => start_up::compare(samples),
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Drain => drain::COLUMNS,
            Self::Latency => latency::COLUMNS,
            Self::ShiftEnd => shift_end::COLUMNS,
            Self::Growth => growth::COLUMNS,
            Self::Overload => overload::COLUMNS,
            Self::StartUp => start_up::COLUMNS,
            Self::Curves => curves::COLUMNS,
        }
    }
}

impl Case {
    fn key(&self, part: Part) -> Key {
        Key {
            part: part.name(),
            table: self.table.clone(),
            who: self.contestant.name().to_owned(),
            case: self.name.clone(),
            command: self.contestant.to_string(),
        }
    }

    async fn measure(&self, stage: &Stage) -> Result<Figures> {
        match self.load {
            Load::Backlog(backlog) => backlog.measure(stage, &self.contestant).await,
            Load::SelfTimed(jobs) => jobs.measure(stage, &self.contestant).await,
            Load::Flow(flow) => flow.measure(stage, &self.contestant).await,
            Load::ShiftEnd => shift_end::measure(stage, &self.contestant).await,
            Load::Overload(overload) => overload.measure(stage, &self.contestant).await,
            Load::StartUp => start_up::measure(stage, &self.contestant).await,
        }
    }
}

fn shown(figures: &Figures) -> String {
    let each = figures
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"));
    each.collect::<Vec<_>>().join(", ")
}

fn load_figures(load: pbx::Load) -> Figures {
    figures([
        ("calls", float(load.calls)),
        ("agents_per_call", float(load.agents) / float(load.calls)),
    ])
}

/// Fewer for a quick look.
fn sized(count: usize, quick: bool) -> usize {
    if quick { count / 5 } else { count }
}

fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

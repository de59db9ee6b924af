//! What the demonstration comes to: the numbers, and what is wrong, as tables or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use clockout::pbx::sim::Load;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::book::Book;
use super::plan::Plan;
use super::verify::Fault;

/// Most faults that the text shows one by one.
const FAULTS_SHOWN_MAX: usize = 20;

/// How the demonstration went; serialises as what `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    jobs: usize,
    /// Over all jobs; one outcome is owed for each.
    agents: usize,
    pbx_queues: usize,
    pbx_calls: u64,
    agents_per_call: f64,
    outcomes: Vec<Ending>,
    publish_to_outcome_ms: Latency,
    took_ms: u64,
    faults: Vec<String>,
}

/// How many agents of jobs ended in one way.
#[derive(Debug, Serialize)]
struct Ending {
    status: String,
    code: String,
    agents: usize,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Latency {
    fn of(latencies: impl IntoIterator<Item = Duration>) -> Result<Self, CreationError> {
        const SIGNIFICANT_DIGITS: u8 = 3;
        let mut histogram = Histogram::<u64>::new(SIGNIFICANT_DIGITS)?;
        for latency in latencies {
            histogram.saturating_record(milliseconds(latency));
        }
        Ok(Self {
            p50: histogram.value_at_quantile(0.50),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the publish of a job to the arrival of its outcome.
    pub(super) latencies: Vec<Duration>,
    pub(super) pbx: Load,
    pub(super) took: Duration,
}

impl Summary {
    pub(super) fn new(
        plan: &Plan,
        book: &Book<'_>,
        measured: Measured,
        faults: &[Fault],
    ) -> Result<Self, CreationError> {
        let mut outcomes = BTreeMap::<_, usize>::new();
        for told in book.all_told() {
            let ending = (told.outcome.status.clone(), told.outcome.code.clone());
            *outcomes.entry(ending).or_default() += 1;
        }
        let queues: BTreeSet<_> = plan.ends.iter().map(|((queue, _), _)| queue).collect();
        Ok(Self {
            jobs: plan.jobs(),
            agents: plan.answers.len(),
            pbx_queues: queues.len(),
            pbx_calls: measured.pbx.calls,
            agents_per_call: mean(measured.pbx.agents, measured.pbx.calls),
            outcomes: outcomes
                .into_iter()
                .map(|((status, code), agents)| Ending {
                    status,
                    code,
                    agents,
                })
                .collect(),
            publish_to_outcome_ms: Latency::of(measured.latencies)?,
            took_ms: milliseconds(measured.took),
            faults: faults.iter().map(ToString::to_string).collect(),
        })
    }

    pub(super) fn is_right(&self) -> bool {
        self.faults.is_empty()
    }

    fn endings(&self) -> Table {
        let mut table = table(["status", "code", "agents"]);
        for ending in &self.outcomes {
            let agents = ending.agents.to_string();
            table.add_row([&ending.status, &ending.code, &agents]);
        }
        table
    }

    fn numbers(&self) -> Table {
        let Latency { p50, p99, max } = self.publish_to_outcome_ms;
        let rows = [
            ("jobs", self.jobs.to_string()),
            ("agents of these jobs", self.agents.to_string()),
            ("PBX queues", self.pbx_queues.to_string()),
            ("calls to the PBX", self.pbx_calls.to_string()),
            (
                "agents per call, mean",
                format!("{:.1}", self.agents_per_call),
            ),
            ("publish to outcome, p50", format!("{p50} ms")),
            ("publish to outcome, p99", format!("{p99} ms")),
            ("publish to outcome, longest", format!("{max} ms")),
            ("all in all", format!("{} ms", self.took_ms)),
        ];
        let mut table = table(["shift end", ""]);
        for (name, value) in rows {
            table.add_row([name, &value]);
        }
        table
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.endings(), self.numbers())?;
        if self.is_right() {
            return f.write_str("every job got its outcome; the PBX is in the right state");
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN_MAX) {
            writeln!(f, "wrong: {fault}")?;
        }
        let more = self.faults.len().saturating_sub(FAULTS_SHOWN_MAX);
        if more > 0 {
            writeln!(f, "… and {more} more")?;
        }
        write!(f, "{} things are not as they must be", self.faults.len())
    }
}

/// The last column holds numbers.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    if let Some(last) = table.column_iter_mut().last() {
        last.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a mean for the eye; calls and agents stay far below 2^52"
)]
fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    sum as f64 / count as f64
}

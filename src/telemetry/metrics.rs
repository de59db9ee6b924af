//! Counters, gauges and histograms, one typed method per fact (CONTRACT §9).
//!
//! Every label comes from a closed set, so the number of series is fixed; all of them stand from the start, as zero,
//! so that an alert on a rate sees the first event too; but what only RabbitMQ knows of dead letters, as NaN.

mod labels;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use serde::Serialize;

use labels::{Build, Called, Concluded, Left, OfAction, OfCode, Settled, Spans};
use text::{COUNTER_SUFFIX, classic};

use super::name::{self, Described};
use crate::engine::batch::{Batch, Cause};
use crate::engine::job::Action;
use crate::engine::outcome::Status;
use crate::engine::verdict::CallResult;
use crate::engine::{Counted, Disposition, Snapshot};

/// What is counted since the process started, for `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub received: u64,
    /// By disposition.
    pub settled: BTreeMap<&'static str, u64>,
    /// By status.
    pub outcomes: BTreeMap<&'static str, u64>,
    pub outcomes_unroutable: u64,
    pub dead_letters: u64,
}

/// The process's metrics. A method call costs a hash look-up under a read lock, well under a microsecond.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Counter,
    settled: Family<Settled, Counter>,
    outcomes: Family<Concluded, Counter>,
    unroutable: Counter,
    calls: Family<Called, Counter>,
    call_seconds: Histograms<OfAction>,
    batch_agents: Histograms<Left>,
    job_seconds: Histogram,
    held: Gauge,
    ready: Gauge,
    breaker_open: Gauge,
    connected: Gauge,
    reconnects: Counter,
    dead_letters: Family<OfCode, Counter>,
    /// Of floats, as these have NaN for what is not known: after a zero, letters of long ago would look like new ones.
    dead_ready: Gauge<f64, AtomicU64>,
    tasks: Gauge,
    spans: Family<Spans, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let mut names = Names(&mut registry);
        let build: Family<Build, Gauge> = names.add(name::BUILD_INFO, Family::default());
        build.get_or_create(&Build::THIS).set(1);
        let metrics = Self {
            received: names.add(name::JOBS_RECEIVED, Counter::default()),
            settled: names.add(name::JOBS_SETTLED, Family::default()),
            outcomes: names.add(name::OUTCOMES, Family::default()),
            unroutable: names.add(name::OUTCOMES_UNROUTABLE, Counter::default()),
            calls: names.add(name::PBX_CALLS, Family::default()),
            call_seconds: names.add(
                name::PBX_CALL_SECONDS,
                Family::new_with_constructor(seconds_of_a_call),
            ),
            batch_agents: names.add(
                name::BATCH_AGENTS,
                Family::new_with_constructor(agents_of_a_batch),
            ),
            job_seconds: names.add(name::JOB_SECONDS, seconds_of_a_job()),
            held: names.add(name::JOBS_HELD, Gauge::default()),
            ready: names.add(name::JOBS_READY, Gauge::default()),
            breaker_open: names.add(name::BREAKER_OPEN, Gauge::default()),
            connected: names.add(name::BROKER_CONNECTED, Gauge::default()),
            reconnects: names.add(name::BROKER_RECONNECTS, Counter::default()),
            dead_letters: names.add(name::DEAD_LETTERS, Family::default()),
            dead_ready: names.add(name::DEAD_LETTERS_READY, Gauge::default()),
            tasks: names.add(name::TASKS, Gauge::default()),
            spans: names.add(name::SPANS, Family::default()),
            registry,
        };
        metrics.start_at_zero();
        metrics.dead_ready(None);
        metrics
    }

    /// One job came from the jobs queue, readable or not.
    pub fn received(&self) {
        self.received.inc();
    }

    /// One job was acknowledged or given back, `held_for` after its receipt.
    pub fn settled(&self, disposition: Disposition, held_for: Duration) {
        let labels = Settled::as_told(disposition);
        self.settled.get_or_create(&labels).inc();
        match disposition {
            Disposition::Ack => self.job_seconds.observe(held_for.as_secs_f64()),
            Disposition::GiveBack => {}
        }
    }

    /// `jobs` died with their channel, unsettled; RabbitMQ delivers them again.
    pub fn lost(&self, jobs: u64) {
        self.settled.get_or_create(&Settled::LOST).inc_by(jobs);
    }

    /// What the engine asks to be counted.
    pub fn count(&self, counted: &Counted) {
        match counted {
            Counted::Told { outcome, since: _ } => {
                let labels = Concluded::new(outcome.action, outcome.conclusion.code);
                self.outcomes.get_or_create(&labels).inc();
            }
            Counted::Buried(outcome) => {
                let labels = OfCode::new(outcome.conclusion.code);
                self.dead_letters.get_or_create(&labels).inc();
            }
            Counted::Unroutable => {
                self.unroutable.inc();
            }
        }
    }

    /// One batch leaves for the PBX.
    pub fn batch(&self, batch: &Batch) {
        let labels = Left::new(batch.action, batch.cause);
        self.batch_agents
            .get_or_create(&labels)
            .observe(f64::from(batch.size()));
    }

    /// One call ended, `took` after it began.
    pub fn call(&self, action: Action, result: &CallResult, took: Duration) {
        let labels = Called::new(action, result);
        self.calls.get_or_create(&labels).inc();
        let seconds = self.call_seconds.get_or_create(&OfAction::new(action));
        seconds.observe(took.as_secs_f64());
    }

    /// So many jobs wait in RabbitMQ.
    pub fn ready(&self, jobs: u64) {
        self.ready.set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// So many letters wait in the dead queue; `None` while RabbitMQ does not say.
    pub fn dead_ready(&self, letters: Option<u32>) {
        self.dead_ready.set(letters.map_or(f64::NAN, f64::from));
    }

    /// Whether RabbitMQ is there.
    pub fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }

    /// The broker was lost and is back.
    pub fn reconnected(&self) {
        self.reconnects.inc();
    }

    pub fn reconnects(&self) -> u64 {
        self.reconnects.get()
    }

    /// How many tasks of the runtime live.
    pub fn tasks(&self, alive: usize) {
        self.tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
    }

    /// The receiver of traces took so many spans.
    pub fn spans_exported(&self, count: u64) {
        self.spans.get_or_create(&Spans::EXPORTED).inc_by(count);
    }

    /// So many spans are lost: there was no room for them, or no receiver that would take them.
    pub fn spans_dropped(&self, count: u64) {
        self.spans.get_or_create(&Spans::DROPPED).inc_by(count);
    }

    /// The gauges that the engine's state tells.
    pub fn observe(&self, engine: &Snapshot) {
        self.held
            .set(i64::try_from(engine.held).unwrap_or(i64::MAX));
        self.breaker_open
            .set(i64::from(engine.breaker_open.is_some()));
    }

    pub fn totals(&self) -> Totals {
        let mut outcomes = BTreeMap::from(Status::ALL.map(|status| (status.as_str(), 0)));
        for labels in Concluded::all() {
            *outcomes.entry(labels.status).or_default() +=
                self.outcomes.get_or_create(&labels).get();
        }
        let settled = Settled::ALL.map(|labels| {
            (
                labels.disposition,
                self.settled.get_or_create(&labels).get(),
            )
        });
        let dead_letters =
            OfCode::buried().map(|labels| self.dead_letters.get_or_create(&labels).get());
        Totals {
            received: self.received.get(),
            settled: settled.into(),
            outcomes,
            outcomes_unroutable: self.unroutable.get(),
            dead_letters: dead_letters.sum(),
        }
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        classic(&text)
    }

    fn start_at_zero(&self) {
        let both = Action::ALL.into_iter();
        let causes = both
            .clone()
            .flat_map(|action| Cause::ALL.map(|cause| Left::new(action, cause)));
        create(&self.settled, Settled::ALL);
        create(&self.outcomes, Concluded::all());
        create(&self.calls, Called::all());
        create(&self.call_seconds, both.map(OfAction::new));
        create(&self.batch_agents, causes);
        create(&self.dead_letters, OfCode::buried());
        create(&self.spans, Spans::ALL);
    }
}

fn create<L: Clone + Hash + Eq, M>(family: &Family<L, M>, series: impl IntoIterator<Item = L>)
where
    fn() -> M: MetricConstructor<M>,
{
    for labels in series {
        drop(family.get_or_create(&labels));
    }
}

/// Registers metrics under their full names.
struct Names<'r>(&'r mut Registry);

impl Names<'_> {
    fn add<M: Metric + Clone>(&mut self, Described { name, help }: Described, metric: M) -> M {
        // prometheus-client adds the suffix of a counter by itself.
        let name = name.strip_suffix(COUNTER_SUFFIX).unwrap_or(name);
        self.0.register(name, help, metric.clone());
        metric
    }
}

/// A histogram per label set.
type Histograms<L> = Family<L, Histogram>;

fn seconds_of_a_call() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// Up to an hour: a job may sit out an outage of the PBX.
fn seconds_of_a_job() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
    ])
}

fn agents_of_a_batch() -> Histogram {
    Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0])
}

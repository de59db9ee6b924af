//! One dead PBX queue among a hundred: does it hold the others up?
//!
//! Told by the others alone, once as jobs come at the pace of a busy shift end, and once with far more of them waiting than
//! can be held.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Case, Load, milliseconds};
use crate::contestant::Contestant;
use crate::results::{self, Figures, Key, Sample, figures, float};
use crate::stage::Stage;
use crate::stage::jobs::{Jobs, Order};
use crate::stage::listener::Listener;
use crate::stage::pbx::Pbx;
use crate::tables::{Column, column};

const QUEUES: usize = 100;

const ORDER: Order = Order::Interleaved { queues: QUEUES };

/// A slow PBX, of every call.
const PBX_MS: u64 = 50;

/// 8,000 jobs a minute.
const EVERY: Duration = Duration::from_micros(7_500);

/// The longest latency that can be told, in microseconds.
const LONGEST: u64 = 600_000_000;

const ALL_WELL: &str = "all queues well";

pub(super) const COLUMNS: &[Column] = &[
    column("p50_ms", "p50 ms", 0),
    column("p99_ms", "p99 ms", 0),
    column("p99_to_well", "p99, of\nall well", 2),
    column("seconds", "seconds to\nthe last", 1),
    column("to_well", "of\nall well", 2),
    column("peak_mib", "peak MiB", 1),
];

/// How a PBX queue is dead.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// HTTP 503 at once.
    Refuses,
    /// No answer, ever.
    Hangs,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Overload {
    jobs: usize,
    /// How far apart they come; `None`: all wait when the worker starts.
    every: Option<Duration>,
    death: Option<Death>,
}

pub(super) fn cases(quick: bool) -> Vec<Case> {
    let (coming, waiting) = if quick {
        (2_000, 50_000)
    } else {
        (8_000, 1_000_000)
    };
    let deaths = [
        (ALL_WELL, None),
        ("one answers 503", Some(Death::Refuses)),
        ("one never answers", Some(Death::Hangs)),
    ];
    let tables = [
        (format!("{coming} jobs, 8000 a minute"), coming, Some(EVERY)),
        (format!("{waiting} jobs waiting"), waiting, None),
    ];
    let rows = tables.into_iter().flat_map(|(pace, jobs, every)| {
        deaths.iter().map(move |(name, death)| Case {
            table: format!("{pace}, PBX {PBX_MS} ms, {ORDER}"),
            name: (*name).to_owned(),
            contestant: Contestant::clockout(),
            load: Load::Overload(Overload {
                jobs,
                every,
                death: *death,
            }),
        })
    });
    rows.collect()
}

pub(super) fn compare(samples: &mut [Sample]) {
    let well = |row: &Key| row.case == ALL_WELL;
    for pair in [("to_well", "seconds"), ("p99_to_well", "p99_ms")] {
        results::compare(samples, pair, well, |own, rival| own / rival);
    }
}

impl Overload {
    pub(super) async fn measure(self, stage: &Stage, contestant: &Contestant) -> Result<Figures> {
        stage.rabbit.clear().await?;
        let pbx = Pbx::start(&stage.clockout, milliseconds(PBX_MS)).await?;
        if let Some(death) = self.death {
            pbx.fail(&death.rules()).await?;
        }
        let mut listener = stage.rabbit.listen().await?;
        let jobs = Jobs::one_agent_each(self.jobs, ORDER);
        let queue = contestant.jobs_queue(stage);
        if self.every.is_none() {
            stage.rabbit.fill(queue, contestant.messages(jobs)).await?;
        }
        let running = contestant.start(stage, &pbx)?;
        let begin = stage.await_consumer(contestant).await?;
        let latencies = match self.every {
            None => self.hear(&mut listener, begin).await?,
            Some(every) => {
                let messages = (0..).map(|n| every * n).zip(contestant.messages(jobs));
                let (latencies, ()) = tokio::try_join!(
                    self.hear(&mut listener, begin),
                    stage.rabbit.put_on_time(queue, begin, messages),
                )?;
                latencies
            }
        };
        let seconds = begin.elapsed().as_secs_f64();
        // What the dead queue still has would hold up an orderly end.
        let memory_peak = running.meter.read()?.memory_peak;
        drop(running);
        let ms = |quantile| float(latencies.value_at_quantile(quantile)) / 1000.0;
        let mut figures = figures([
            ("seconds", seconds),
            ("peak_mib", float(memory_peak) / float(1 << 20)),
        ]);
        if self.every.is_some() {
            figures.insert("p50_ms".to_owned(), ms(0.50));
            figures.insert("p99_ms".to_owned(), ms(0.99));
        }
        Ok(figures)
    }

    /// Hears every outcome of the queues that are well in all rows: microseconds from due to received.
    async fn hear(self, listener: &mut Listener, begin: Instant) -> Result<Histogram<u64>> {
        let mut latencies = Histogram::new_with_bounds(1, LONGEST, 3)?;
        let mut missing = self.jobs - self.jobs.div_ceil(QUEUES);
        while missing > 0 {
            let heard = listener.next().await?;
            if let Some(n) = heard.filter(|n| !n.is_multiple_of(QUEUES)) {
                let due = self.every.unwrap_or_default() * n.try_into()?;
                let latency = begin.elapsed().saturating_sub(due);
                latencies.saturating_record(latency.as_micros().try_into()?);
                missing -= 1;
            }
        }
        Ok(latencies)
    }
}

impl Death {
    /// Of the first queue, whose jobs are those with a number that [`QUEUES`] divides.
    fn rules(self) -> Value {
        let effect = match self {
            Self::Refuses => json!({ "status": { "code": 503 } }),
            Self::Hangs => json!({ "hang": { "applied": false } }),
        };
        json!([{ "match": { "queue": "10000" }, "effect": { "call": effect } }])
    }
}

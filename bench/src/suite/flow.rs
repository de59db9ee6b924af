//! Jobs that come one by one, on time: how long each takes, and how many calls they lead to.
//!
//! Counted from the schedule and not from the publish, so that a stall shows in all jobs that it made wait.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::load_figures;
use crate::contestant::Contestant;
use crate::results::{Figures, float};
use crate::stage::Stage;
use crate::stage::jobs::{Jobs, Order};
use crate::stage::listener::Listener;
use crate::stage::pbx::Pbx;

/// The longest latency that can be told, in microseconds.
const LONGEST: u64 = 120_000_000;

/// When jobs come, which, and how fast the PBX is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// Between a job and the next.
    pub(super) every: Duration,
    /// Jobs that come first and whose latency does not count.
    pub(super) warm_up: usize,
    /// Jobs that count.
    pub(super) samples: usize,
    pub(super) order: Order,
    /// How long the PBX takes for a call.
    pub(super) pbx: Duration,
}

impl Flow {
    /// Calls are those of all jobs, per second from the first publish to the last outcome.
    pub(super) async fn measure(self, stage: &Stage, contestant: &Contestant) -> Result<Figures> {
        stage.rabbit.clear().await?;
        let pbx = Pbx::start(&stage.clockout, self.pbx).await?;
        let mut listener = stage.rabbit.listen().await?;
        let running = contestant.start(stage, &pbx)?;
        let begin = stage.await_consumer(contestant).await?;
        let jobs = Jobs::one_agent_each(self.warm_up + self.samples, self.order);
        let queue = contestant.jobs_queue(stage);
        let due = (0..).map(|n| self.due(n));
        let messages = due.zip(contestant.messages(jobs));
        let (latencies, ()) = tokio::try_join!(
            self.hear(&mut listener, begin),
            stage.rabbit.put_on_time(queue, begin, messages),
        )?;
        let seconds = begin.elapsed().as_secs_f64();
        running.stop().await?;
        let load = pbx.load().await?;
        let mut figures = load_figures(load);
        figures.insert("calls_per_second".to_owned(), float(load.calls) / seconds);
        for (name, quantile) in [
            ("p50_ms", 0.50),
            ("p90_ms", 0.90),
            ("p99_ms", 0.99),
            ("max_ms", 1.0),
        ] {
            let microseconds = latencies.value_at_quantile(quantile);
            figures.insert(name.to_owned(), float(microseconds) / 1000.0);
        }
        Ok(figures)
    }

    /// When the `n`th job is published, after the first.
    fn due(self, n: u32) -> Duration {
        self.every * n
    }

    /// Latencies in microseconds.
    async fn hear(self, listener: &mut Listener, begin: Instant) -> Result<Histogram<u64>> {
        let mut latencies = Histogram::new_with_bounds(1, LONGEST, 3)?;
        for _ in 0..self.warm_up + self.samples {
            let Some(n) = listener.next().await? else {
                continue;
            };
            if n >= self.warm_up {
                let latency = begin.elapsed().saturating_sub(self.due(n.try_into()?));
                latencies.saturating_record(latency.as_micros().try_into()?);
            }
        }
        Ok(latencies)
    }
}

//! From the moment a job was due to be published until its outcome is received, at a rate far below what anyone can.
//!
//! Counted from the schedule and not from the publish, so that a stall shows in all jobs that it made wait.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::{Case, Load, milliseconds, peers};
use crate::contestant::Contestant;
use crate::results::{Figures, figures, float};
use crate::stage::Stage;
use crate::stage::jobs::{Jobs, Order};
use crate::stage::listener::Listener;
use crate::stage::pbx::Pbx;
use crate::tables::{Column, column};

/// One job each: 200 in a second.
const EVERY: Duration = Duration::from_millis(5);

const PBX_MS: u64 = 5;

/// Jobs that come first and do not count.
const WARM_UP: usize = 200;

const ORDER: Order = Order::Interleaved { queues: 100 };

/// The longest latency that can be told, in microseconds.
const LONGEST: u64 = 120_000_000;

pub(super) const COLUMNS: &[Column] = &[
    column("p50_ms", "p50 ms", 1),
    column("p90_ms", "p90 ms", 1),
    column("p99_ms", "p99 ms", 1),
    column("max_ms", "max ms", 1),
];

pub(super) fn cases(quick: bool) -> Vec<Case> {
    let samples = if quick { 500 } else { 2_000 };
    let case = |linger: &str, contestant| Case {
        table: format!("200 jobs/s, PBX {PBX_MS} ms, {ORDER}"),
        name: linger.to_owned(),
        contestant,
        load: Load::Trickle(Trickle { samples }),
    };
    let at_once = Contestant::clockout().with("CLOCKOUT_BATCH_LINGER", "0s");
    vec![
        case("linger 0", at_once),
        case("linger as by default", Contestant::clockout()),
        case("linger 0", peers::node().with("LINGER_MS", 0)),
        case("linger 20 ms", peers::node().with("LINGER_MS", 20)),
        case("linger 0", peers::aio_pika().with("LINGER_MS", 0)),
        case("linger 20 ms", peers::aio_pika().with("LINGER_MS", 20)),
        case("linger 20 ms", peers::celery().with("LINGER_MS", 20)),
        case("no batches", peers::plain()),
    ]
}

/// Jobs that come one by one, on time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trickle {
    samples: usize,
}

impl Trickle {
    pub(super) async fn measure(self, stage: &Stage, contestant: &Contestant) -> Result<Figures> {
        stage.rabbit.clear().await?;
        let pbx = Pbx::start(&stage.clockout, milliseconds(PBX_MS)).await?;
        let mut listener = stage.rabbit.listen().await?;
        let running = contestant.start(stage, &pbx)?;
        let begin = stage.await_consumer(contestant).await?;
        let jobs = Jobs::one_agent_each(WARM_UP + self.samples, ORDER);
        let queue = contestant.jobs_queue(stage);
        let messages = (0..).map(due).zip(contestant.messages(jobs));
        let (latencies, ()) = tokio::try_join!(
            hear(&mut listener, jobs.count, begin),
            stage.rabbit.put_on_time(queue, begin, messages),
        )?;
        running.stop().await?;
        let ms = |microseconds| float(microseconds) / 1000.0;
        Ok(figures([
            ("p50_ms", ms(latencies.value_at_quantile(0.50))),
            ("p90_ms", ms(latencies.value_at_quantile(0.90))),
            ("p99_ms", ms(latencies.value_at_quantile(0.99))),
            ("max_ms", ms(latencies.max())),
        ]))
    }
}

/// When the `n`th job is published, after the first.
fn due(n: u32) -> Duration {
    EVERY * n
}

/// Latencies in microseconds.
async fn hear(listener: &mut Listener, jobs: usize, begin: Instant) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_bounds(1, LONGEST, 3)?;
    for _ in 0..jobs {
        let Some(n) = listener.next().await? else {
            continue;
        };
        if n >= WARM_UP {
            let latency = begin.elapsed().saturating_sub(due(n.try_into()?));
            latencies.saturating_record(latency.as_micros().try_into()?);
        }
    }
    Ok(latencies)
}

//! A backlog of one-agent jobs worked off: jobs per second, and what they cost.

use anyhow::Result;

use super::{Notebook, Plan, milliseconds};
use crate::contestant::Contestant;
use crate::results::{Figures, Key};
use crate::stage::jobs::{Jobs, Order};
use crate::stage::{Drained, Stage};

const ORDERS: [Order; 2] = [
    Order::Runs { length: 500 },
    Order::Interleaved { queues: 100 },
];

/// One contestant in one case.
struct Entry {
    who: &'static str,
    contestant: Contestant,
    pbx_ms: u64,
    jobs: usize,
}

impl Entry {
    fn new(who: &'static str, contestant: Contestant, pbx_ms: u64, jobs: usize) -> Self {
        Self {
            who,
            contestant,
            pbx_ms,
            jobs,
        }
    }
}

fn entries() -> Vec<Entry> {
    let clockout = |pbx_ms, jobs| Entry::new("clockout", Contestant::clockout(), pbx_ms, jobs);
    vec![
        Entry::new("floor", Contestant::floor(), 0, 100_000),
        clockout(0, 100_000),
        clockout(5, 100_000),
        clockout(50, 20_000),
    ]
}

pub(super) async fn round(stage: &Stage, plan: &Plan, notebook: &mut Notebook<'_>) -> Result<()> {
    for order in ORDERS {
        for Entry {
            who,
            contestant,
            pbx_ms,
            jobs,
        } in entries()
        {
            let count = if plan.quick { jobs / 4 } else { jobs };
            let drained = stage
                .drain(
                    &contestant,
                    Jobs::one_agent_each(count, order),
                    milliseconds(pbx_ms),
                )
                .await?;
            let row = Key {
                part: "drain".into(),
                table: order.to_string(),
                who: who.into(),
                case: format!("PBX {pbx_ms} ms"),
                command: contestant.to_string(),
            };
            notebook.write(row, figures(&drained));
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes far below 2^52"
)]
fn figures(drained: &Drained) -> Figures {
    let mebibyte = 1024.0 * 1024.0;
    [
        ("jobs_per_second", drained.jobs_per_second),
        ("worker_cpu_ms_per_1000", drained.worker_cpu * 1000.0),
        ("broker_cpu_ms_per_1000", drained.broker_cpu * 1000.0),
        ("pbx_cpu_ms_per_1000", drained.pbx_cpu * 1000.0),
        ("peak_mib", drained.memory_peak as f64 / mebibyte),
        ("calls", drained.calls as f64),
        ("agents_per_call", drained.agents_per_call),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

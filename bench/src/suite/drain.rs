//! A backlog of one-agent jobs worked off: jobs per second, and what they cost.

use anyhow::Result;

use super::{Case, Load, load_figures, milliseconds, peers, sized};
use crate::contestant::{CLOCKOUT, Contestant, FLOOR, FloorKind};
use crate::results::{self, Figures, Key, Sample, figures, float};
use crate::stage::Stage;
use crate::stage::jobs::{Jobs, Order};
use crate::tables::{Column, column};

const ORDERS: [Order; 2] = [
    Order::Runs { length: 500 },
    Order::Interleaved { queues: 100 },
];

/// What everyone is compared at.
const PBX_5_MS: &str = "PBX 5 ms";

/// The floor that ratios are of, beside its variants.
const WHOLE: &str = "whole";

pub(super) const COLUMNS: &[Column] = &[
    column("jobs_per_second", "jobs/s", 0),
    column("to_floor", "of floor", 2),
    column("clockout_times", "clockout\nis times", 2),
    column("worker_cpu_ms_per_1000", "worker CPU\nms/1000", 1),
    column("cpu_to_floor", "of floor's", 2),
    column("broker_cpu_ms_per_1000", "broker CPU\nms/1000", 1),
    column("agents_per_call", "agents\nper call", 1),
    column("calls", "calls", 0),
    column("peak_mib", "peak MiB", 1),
];

pub(super) fn cases(quick: bool) -> Vec<Case> {
    ORDERS
        .into_iter()
        .flat_map(|order| in_order(order, quick))
        .collect()
}

fn in_order(order: Order, quick: bool) -> Vec<Case> {
    let case = |name: String, contestant, load| Case {
        table: order.to_string(),
        name,
        contestant,
        load,
    };
    let jobs = |count| Jobs::one_agent_each(sized(count, quick), order);
    let backlog = |contestant, pbx_ms, count| {
        let load = Load::Backlog(Backlog {
            jobs: jobs(count),
            pbx_ms,
        });
        case(format!("PBX {pbx_ms} ms"), contestant, load)
    };
    let floor = |name: &str, kind, outcomes_kept| {
        let jobs = jobs(100_000);
        let contestant = Contestant::floor_of(kind, jobs.count);
        let load = Load::SelfTimed(SelfTimed {
            jobs,
            outcomes_kept,
        });
        case(name.to_owned(), contestant, load)
    };
    let slow_pbx = |pbx_ms| Case {
        name: format!("PBX {pbx_ms} ms, set for a slow one"),
        ..backlog(for_a_slow_pbx(), pbx_ms, 100_000)
    };
    let set = |calls: usize, prefetch: usize| Case {
        name: format!("PBX 5 ms, {calls} calls, prefetch {prefetch}"),
        ..backlog(set_to(calls, prefetch), 5, 100_000)
    };
    vec![
        Case {
            name: WHOLE.to_owned(),
            ..backlog(Contestant::floor(), 0, 100_000)
        },
        backlog(Contestant::clockout(), 0, 100_000),
        backlog(Contestant::clockout(), 5, 100_000),
        backlog(peers::node(), 5, 100_000),
        backlog(peers::node_for_a_slow_pbx(), 50, 100_000),
        backlog(peers::aio_pika(), 5, 20_000),
        backlog(peers::celery(), 5, 20_000),
        backlog(peers::plain(), 5, 2_000),
        backlog(Contestant::clockout(), 50, 100_000),
        slow_pbx(5),
        slow_pbx(50),
        set(4, 2_000),
        set(4, 4_000),
        set(8, 2_000),
        floor("no queue for outcomes", FloorKind::Publish, false),
        floor("acknowledge only", FloorKind::Ack, true),
    ]
}

fn for_a_slow_pbx() -> Contestant {
    set_to(16, 5_000).with("CLOCKOUT_BATCH_MAX_AGENTS", 100)
}

/// The settings that the defaults are judged by.
fn set_to(calls: usize, prefetch: usize) -> Contestant {
    Contestant::clockout()
        .with("CLOCKOUT_PBX_MAX_IN_FLIGHT", calls)
        .with("CLOCKOUT_JOBS_PREFETCH", prefetch)
}

pub(super) fn compare(samples: &mut [Sample]) {
    let floor = |row: &Key| row.who == FLOOR && row.case == WHOLE;
    let to_rival = |own: f64, rival: f64| own / rival;
    results::compare(samples, ("to_floor", "jobs_per_second"), floor, to_rival);
    let cpu = ("cpu_to_floor", "worker_cpu_ms_per_1000");
    results::compare(samples, cpu, floor, to_rival);
    let clockout = |row: &Key| row.who == CLOCKOUT && row.case == PBX_5_MS;
    let times = ("clockout_times", "jobs_per_second");
    results::compare(samples, times, clockout, |own, rival| rival / own);
}

/// Jobs that wait when the contestant starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    pub(super) jobs: Jobs,
    pub(super) pbx_ms: u64,
}

impl Backlog {
    pub(super) async fn measure(self, stage: &Stage, contestant: &Contestant) -> Result<Figures> {
        let latency = milliseconds(self.pbx_ms);
        let drained = stage.drain(contestant, self.jobs, latency).await?;
        let agents = float(self.jobs.agents as u64);
        let mut figures = figures([
            ("jobs_per_second", drained.jobs_per_second),
            ("agents_per_second", drained.jobs_per_second * agents),
            ("worker_cpu_ms_per_1000", drained.worker_cpu * 1000.0),
            ("broker_cpu_ms_per_1000", drained.broker_cpu * 1000.0),
            ("idle_ms_per_1000", drained.idle * 1000.0),
            ("disk_ms_per_1000", drained.disk * 1000.0),
            ("peak_mib", float(drained.memory_peak) / float(1 << 20)),
        ]);
        // The floor makes none.
        if drained.load.calls > 0 {
            figures.extend(load_figures(drained.load));
            figures.insert("pbx_cpu_ms_per_1000".to_owned(), drained.pbx_cpu * 1000.0);
        }
        Ok(figures)
    }
}

/// A backlog whose outcomes cannot be counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelfTimed {
    jobs: Jobs,
    outcomes_kept: bool,
}

impl SelfTimed {
    pub(super) async fn measure(self, stage: &Stage, contestant: &Contestant) -> Result<Figures> {
        let rate = stage
            .self_timed(contestant, self.jobs, self.outcomes_kept)
            .await?;
        Ok(figures([("jobs_per_second", rate)]))
    }
}

//! Whether a job's cost and the memory stay the same as there is more of everything.

use super::drain::Backlog;
use super::{Case, Load};
use crate::contestant::Contestant;
use crate::results::{self, Key, Sample};
use crate::stage::jobs::{Jobs, Order};
use crate::tables::{Column, column};

/// Jobs of one PBX queue in a row.
const RUN: usize = 500;

/// Agents of all jobs, where it is not the jobs that grow in number.
const AGENTS: usize = 50_000;

pub(super) const COLUMNS: &[Column] = &[
    column("jobs_per_second", "jobs/s", 0),
    column("agents_per_second", "agents/s", 0),
    column("worker_cpu_ms_per_1000", "worker CPU\nms/1000 agents", 1),
    column("cpu_relative", "relative", 2),
    column("broker_cpu_ms_per_1000", "broker CPU\nms/1000 agents", 1),
    column("agents_per_call", "agents\nper call", 1),
    column("peak_mib", "peak MiB", 1),
];

const TABLES: [&str; 3] = ["waiting jobs", "PBX queues", "agents per job"];

/// The rows that the others of their table are compared with. A thousand jobs are gone too soon to tell their cost well.
const BASES: [&str; 3] = ["10000", "1", "1"];

pub(super) fn cases(quick: bool) -> Vec<Case> {
    let [waiting, queues, agents] = TABLES;
    let case = |table: &str, size: usize, jobs| Case {
        table: table.to_owned(),
        name: size.to_string(),
        contestant: Contestant::clockout(),
        load: Load::Backlog(Backlog { jobs, pbx_ms: 0 }),
    };
    let runs = Order::Runs { length: RUN };
    let most = if quick { 100_000 } else { 1_000_000 };
    let waiting = [1_000, 10_000, 100_000, 1_000_000]
        .into_iter()
        .filter(|size| *size <= most)
        .map(|size| case(waiting, size, Jobs::one_agent_each(size, runs)));
    let queues = [1, 10, 100, 1_000, 5_000].map(|size| {
        let order = Order::Interleaved { queues: size };
        case(queues, size, Jobs::one_agent_each(AGENTS, order))
    });
    let agents = [1, 5, 50, 500].map(|size| {
        let order = Order::Runs { length: RUN / size };
        let jobs = Jobs {
            count: AGENTS / size,
            order,
            agents: size,
        };
        case(agents, size, jobs)
    });
    waiting.chain(queues).chain(agents).collect()
}

/// Adds the worker's processor time relative to the base of the table.
pub(super) fn compare(samples: &mut [Sample]) {
    let base = |row: &Key| {
        TABLES
            .iter()
            .zip(BASES)
            .any(|(table, case)| row.table == *table && row.case == case)
    };
    let cpu = ("cpu_relative", "worker_cpu_ms_per_1000");
    results::compare(samples, cpu, base, |own, rival| own / rival);
}

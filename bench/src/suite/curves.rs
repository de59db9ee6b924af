//! What gathering saves and what it costs: calls to the PBX and latency by `batch.linger` and by `batch.max_agents`, for
//! `docs/operating.md`.

use std::time::Duration;

use super::flow::Flow;
use super::{Case, Load, milliseconds};
use crate::contestant::Contestant;
use crate::stage::jobs::Order;
use crate::tables::{Column, column};

/// Few queues, so that there is something to gather: each gets 20 jobs a second.
const ORDER: Order = Order::ShiftEnd { queues: 10 };

const PBX_MS: u64 = 5;

const LINGER: &str = "CLOCKOUT_BATCH_LINGER";

const MAX_AGENTS: &str = "CLOCKOUT_BATCH_MAX_AGENTS";

const LINGERS: [&str; 6] = ["0s", "20ms", "100ms", "200ms", "500ms", "2s"];

const SIZES: [&str; 6] = ["1", "5", "20", "50", "100", "500"];

/// Long enough for the largest of what comes at 200 jobs a second, so that it is the size that decides.
const LONG_LINGER: &str = "2s";

pub(super) const COLUMNS: &[Column] = &[
    column("calls_per_second", "calls/s", 1),
    column("agents_per_call", "agents\nper call", 1),
    column("p50_ms", "p50 ms", 1),
    column("p99_ms", "p99 ms", 1),
];

pub(super) fn cases(quick: bool) -> Vec<Case> {
    let steady = Flow {
        every: milliseconds(5),
        warm_up: 200,
        samples: if quick { 500 } else { 1_500 },
        order: ORDER,
        pbx: milliseconds(PBX_MS),
    };
    let burst = Flow {
        every: Duration::from_micros(125),
        warm_up: 0,
        samples: 4_000,
        ..steady
    };
    let at_rate = format!("200 jobs/s, {ORDER}, PBX {PBX_MS} ms");
    let at_once = format!("4,000 jobs in half a second, {ORDER}, PBX {PBX_MS} ms");
    let lingers = LINGERS.map(|linger| Case {
        table: format!("batch.linger: {at_rate}"),
        name: linger.to_owned(),
        contestant: Contestant::clockout().with(LINGER, linger),
        load: Load::Flow(steady),
    });
    let sizes = SIZES.map(|size| Case {
        table: format!("batch.max_agents: {at_rate}, linger {LONG_LINGER}"),
        name: size.to_owned(),
        contestant: Contestant::clockout()
            .with(LINGER, LONG_LINGER)
            .with(MAX_AGENTS, size),
        load: Load::Flow(steady),
    });
    let sizes_of_burst = SIZES.map(|size| Case {
        table: format!("batch.max_agents: {at_once}"),
        name: size.to_owned(),
        contestant: Contestant::clockout().with(MAX_AGENTS, size),
        load: Load::Flow(burst),
    });
    lingers
        .into_iter()
        .chain(sizes)
        .chain(sizes_of_burst)
        .collect()
}

//! From the moment a job was due to be published until its outcome is received, at a rate far below what anyone can.

use super::flow::Flow;
use super::{Case, Load, milliseconds, peers};
use crate::contestant::Contestant;
use crate::stage::jobs::Order;
use crate::tables::{Column, column};

const PBX_MS: u64 = 5;

const ORDER: Order = Order::Interleaved { queues: 100 };

pub(super) const COLUMNS: &[Column] = &[
    column("p50_ms", "p50 ms", 1),
    column("p90_ms", "p90 ms", 1),
    column("p99_ms", "p99 ms", 1),
    column("max_ms", "max ms", 1),
];

pub(super) fn cases(quick: bool) -> Vec<Case> {
    let flow = Flow {
        every: milliseconds(5),
        warm_up: 200,
        samples: if quick { 500 } else { 2_000 },
        order: ORDER,
        pbx: milliseconds(PBX_MS),
    };
    let case = |linger: &str, contestant| Case {
        table: format!("200 jobs/s, PBX {PBX_MS} ms, {ORDER}"),
        name: linger.to_owned(),
        contestant,
        load: Load::Flow(flow),
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

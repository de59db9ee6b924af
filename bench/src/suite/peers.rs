//! The peers with the settings that gave them the most here; `bench/peers/*/README.md` says how those were found.

use crate::contestant::Contestant;

/// Of one call, twice what clockout puts into one by default: all peers gain by it.
const MAX_AGENTS: u32 = 100;

pub(super) fn node() -> Contestant {
    Contestant::peer("node-amqplib")
        .with("PREFETCH", 5_000)
        .with("MAX_AGENTS", MAX_AGENTS)
        .with("LINGER_MS", 0)
        .with("MAX_IN_FLIGHT", 16)
}

/// Calls at a time for a PBX slower than some 20 ms.
pub(super) fn node_for_a_slow_pbx() -> Contestant {
    node().with("MAX_IN_FLIGHT", 32)
}

pub(super) fn aio_pika() -> Contestant {
    Contestant::peer("aio-pika")
        .with("PROCESSES", 2)
        .with("PREFETCH", 5_000)
        .with("MAX_AGENTS", MAX_AGENTS)
        .with("LINGER_MS", 50)
        .with("MAX_IN_FLIGHT", 8)
}

pub(super) fn celery() -> Contestant {
    Contestant::peer("celery-batches")
        .with("CONFIRM", "pipelined")
        .with("PROCESSES", 2)
        .with("PREFETCH", 1_000)
        .with("MAX_AGENTS", MAX_AGENTS)
        .with("LINGER_MS", 200)
        .with("MAX_IN_FLIGHT", 16)
}

pub(super) fn plain() -> Contestant {
    Contestant::peer("plain")
}

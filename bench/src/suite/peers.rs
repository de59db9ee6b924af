//! The peers with the settings that gave them the most here; `bench/peers/*/README.md` says how those were found.

use crate::contestant::Contestant;

pub(super) fn node() -> Contestant {
    Contestant::peer("node-amqplib").with("MAX_AGENTS", 100)
}

pub(super) fn aio_pika() -> Contestant {
    Contestant::peer("aio-pika")
        .with("PROCESSES", 2)
        .with("MAX_AGENTS", 100)
}

pub(super) fn celery() -> Contestant {
    Contestant::peer("celery-batches")
        .with("PROCESSES", 2)
        .with("MAX_AGENTS", 100)
        .with("CONFIRM", "pipelined")
}

pub(super) fn plain() -> Contestant {
    Contestant::peer("plain")
}

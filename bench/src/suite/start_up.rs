//! From the start of the process until the broker shows its consumer.

use anyhow::Result;
use tokio::time::Instant;

use super::{Case, Load, milliseconds, peers};
use crate::contestant::{CLOCKOUT, Contestant};
use crate::results::{self, Figures, Key, Sample, figures};
use crate::stage::Stage;
use crate::stage::pbx::Pbx;
use crate::tables::{Column, column};

pub(super) const COLUMNS: &[Column] = &[
    column("start_ms", "ms", 0),
    column("clockout_times", "clockout\nis times", 1),
];

pub(super) fn cases() -> Vec<Case> {
    let contestants = [
        Contestant::clockout(),
        peers::node(),
        peers::aio_pika(),
        peers::celery(),
        peers::plain(),
    ];
    let case = |contestant| Case {
        table: "to the first consumer".to_owned(),
        name: "topology declared".to_owned(),
        contestant,
        load: Load::StartUp,
    };
    contestants.into_iter().map(case).collect()
}

pub(super) fn compare(samples: &mut [Sample]) {
    let clockout = |row: &Key| row.who == CLOCKOUT;
    results::compare(
        samples,
        ("clockout_times", "start_ms"),
        clockout,
        |own, rival| own / rival,
    );
}

pub(super) async fn measure(stage: &Stage, contestant: &Contestant) -> Result<Figures> {
    stage.rabbit.clear().await?;
    let pbx = Pbx::start(&stage.clockout, milliseconds(0)).await?;
    let begun = Instant::now();
    let running = contestant.start(stage, &pbx)?;
    let took = stage.await_consumer(contestant).await? - begun;
    running.stop().await?;
    Ok(figures([("start_ms", took.as_secs_f64() * 1000.0)]))
}

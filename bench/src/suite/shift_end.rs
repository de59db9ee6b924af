//! A shift ends everywhere at once, on a slow PBX: how long until the last agent is done, by setting.

use std::time::Duration;

use anyhow::Result;

use super::{Case, Load, load_figures, milliseconds};
use crate::contestant::Contestant;
use crate::results::{self, Figures, Key, Sample};
use crate::stage::Stage;
use crate::stage::jobs::{Jobs, Order};
use crate::stage::pbx::Pbx;
use crate::tables::{Column, column};

const ORDER: Order = Order::ShiftEnd { queues: 200 };

const JOBS: usize = 8_000;

/// All jobs come within one second.
const EVERY: Duration = Duration::from_micros(125);

const PBX_MS: u64 = 50;

const DEFAULTS: &str = "defaults";

/// One setting that is tried with several values, the others as by default.
struct Tried {
    key: &'static str,
    variable: &'static str,
    values: &'static [&'static str],
}

const TRIED: [Tried; 4] = [
    Tried {
        key: "pbx.max_in_flight",
        variable: "CLOCKOUT_PBX_MAX_IN_FLIGHT",
        values: &["1", "2", "4", "8", "16", "32"],
    },
    Tried {
        key: "batch.max_agents",
        variable: "CLOCKOUT_BATCH_MAX_AGENTS",
        values: &["10", "50", "100", "200"],
    },
    Tried {
        key: "jobs.prefetch",
        variable: "CLOCKOUT_JOBS_PREFETCH",
        values: &["500", "2000", "4000", "8000"],
    },
    Tried {
        key: "batch.linger",
        variable: "CLOCKOUT_BATCH_LINGER",
        values: &["0s", "200ms", "1s"],
    },
];

pub(super) const COLUMNS: &[Column] = &[
    column("seconds", "seconds", 2),
    column("to_defaults", "of defaults", 2),
    column("calls", "calls", 0),
    column("agents_per_call", "agents\nper call", 1),
];

/// For a quick look, the setting that matters most.
pub(super) fn cases(quick: bool) -> Vec<Case> {
    let case = |name: String, contestant| Case {
        table: format!("{JOBS} jobs in a second, {ORDER}, PBX {PBX_MS} ms"),
        name,
        contestant,
        load: Load::ShiftEnd,
    };
    let tried = TRIED.into_iter().take(if quick { 1 } else { TRIED.len() });
    let varied = tried.flat_map(|tried| {
        tried.values.iter().map(move |value| {
            let contestant = Contestant::clockout().with(tried.variable, value);
            case(format!("{} {value}", tried.key), contestant)
        })
    });
    let defaults = case(DEFAULTS.to_owned(), Contestant::clockout());
    std::iter::once(defaults).chain(varied).collect()
}

pub(super) fn compare(samples: &mut [Sample]) {
    let defaults = |row: &Key| row.case == DEFAULTS;
    results::compare(
        samples,
        ("to_defaults", "seconds"),
        defaults,
        |own, rival| own / rival,
    );
}

/// Seconds from the first publish to the last outcome.
pub(super) async fn measure(stage: &Stage, contestant: &Contestant) -> Result<Figures> {
    stage.rabbit.clear().await?;
    let pbx = Pbx::start(&stage.clockout, milliseconds(PBX_MS)).await?;
    let running = contestant.start(stage, &pbx)?;
    let begin = stage.await_consumer(contestant).await?;
    let jobs = Jobs::one_agent_each(JOBS, ORDER);
    let messages = (0..).map(|n| EVERY * n).zip(contestant.messages(jobs));
    let queue = contestant.jobs_queue(stage);
    let (ended, ()) = tokio::try_join!(
        stage.await_outcomes(jobs.outcomes(), &running),
        stage.rabbit.put_on_time(queue, begin, messages),
    )?;
    running.stop().await?;
    let mut figures = load_figures(pbx.load().await?);
    let seconds = (ended.at - begin).as_secs_f64();
    figures.insert("seconds".to_owned(), seconds);
    Ok(figures)
}

//! `clockout demo`: a whole shift end on a simulated PBX and a given RabbitMQ, checked in the end.
//!
//! Uses names of its own on the broker and deletes them whatever happens; no real topology is touched, and no real PBX.

mod book;
mod plan;
mod play;
mod progress;
mod story;
mod summary;
mod verify;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clockout::broker::client::{Client, ClientError};
use clockout::broker::{self, Names};
use clockout::pbx::sim::{Options, Sim};
use clockout::settings::{self, BrokerOnly, Settings};
use clockout::telemetry;
use clockout::worker::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use self::plan::{Plan, Size};
use self::play::{Played, Stage};
use self::summary::{Measured, Summary};
use super::{Common, Exit, run, terminal};

/// How long the simulated PBX takes for a call.
const PBX_LATENCY: Duration = Duration::from_millis(20);

const CLEAN_UP_MAX: Duration = Duration::from_secs(10);

/// Show the main job: a shift end on a simulated PBX, with a few of every kind of failure.
///
/// Needs a RabbitMQ (amqp.url) and nothing else: brings its own PBX, uses names of its own and deletes them. Ends with 1
/// unless every job got its outcome and the PBX ended in the right state.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clockout demo --amqp-url amqp://guest:guest@127.0.0.1:5672/%2f --jobs 300"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// How many jobs.
    #[arg(long, value_name = "N", default_value_t = 1_200, value_parser = count(1, 50_000))]
    jobs: u32,
    /// Over how many PBX queues.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = count(1, 1_000))]
    queues: u32,
    /// Which shift end: who is where, and who has trouble.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// Show the worker's log, as log.filter says.
    #[arg(long)]
    verbose: bool,
}

fn count(min: i64, max: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(min..=max)
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let given = BrokerOnly::from_process(&arguments.common.into())?;
    let quiet = telemetry::Settings {
        format: given.log.format,
        filter: telemetry::Filter::parse("error,lapin=off")?,
    };
    telemetry::init(if arguments.verbose {
        &given.log
    } else {
        &quiet
    })?;
    let plan = Plan::new(Size {
        jobs: arguments.jobs.try_into()?,
        queues: arguments.queues.try_into()?,
        seed: arguments.seed,
    })?;
    let sim = start_pbx(&plan, arguments.seed).await?;
    let settings = worker_settings(given.broker, &sim)?;
    let client = Client::connect(&settings.broker, "demo").await?;
    let names = settings.broker.names.clone();
    let performed = perform(&plan, &sim, &client, settings).await;
    let cleaned = timeout(CLEAN_UP_MAX, clean_up(client, &names)).await;
    let played = performed?;
    cleaned.context("RabbitMQ did not delete the names of the demonstration in time")??;
    let faults = verify::faults(&plan, &played.book, |(queue, agent)| {
        sim.member(queue, agent)
    });
    let measured = Measured {
        latencies: played.latencies(),
        pbx: sim.stats().total,
        took: played.took,
    };
    let summary = Summary::new(&plan, &played.book, measured, &faults)?;
    let shown = if arguments.json {
        serde_json::to_string_pretty(&summary)?
    } else {
        summary.to_string()
    };
    terminal::print_line(shown)?;
    Ok(if summary.is_right() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn start_pbx(plan: &Plan, seed: u64) -> anyhow::Result<Sim> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options {
        seed,
        latency: PBX_LATENCY,
        members: Some(plan.members.clone()),
        ..Options::default()
    };
    let sim = Sim::start(any_port, options).await?;
    sim.set_faults(plan.faults.clone())?;
    Ok(sim)
}

/// The defaults of the contract, whatever this host's settings say of the worker: only the broker is the given one.
/// Waits are shorter than anyone would want at work, so that every failure can be watched to its end.
fn worker_settings(given: broker::Settings, sim: &Sim) -> anyhow::Result<Settings> {
    let pbx = settings::Arguments {
        pbx_base_url: Some(sim.url()),
        ..settings::Arguments::default()
    };
    let mut settings = Settings::load(&pbx, [])?;
    settings.broker = broker::Settings {
        names: own_names(),
        declare: true,
        connection_name: "clockout demo".to_owned(),
        prefetch: settings.broker.prefetch,
        delivery_limit: settings.broker.delivery_limit,
        ..given
    };
    settings.http_listen = None;
    settings.grace = Duration::from_secs(3);
    settings.pbx.connect_timeout = Duration::from_secs(1);
    settings.pbx.timeout = Duration::from_millis(1_500);
    settings.engine.retry.initial = Duration::from_millis(50);
    settings.engine.retry.max = Duration::from_millis(500);
    settings.engine.breaker.cooldown = Duration::from_millis(250);
    settings.engine.breaker.cooldown_max = Duration::from_millis(500);
    Ok(settings)
}

/// Such as nobody else on the broker has.
fn own_names() -> Names {
    let run = Uuid::new_v4().simple().to_string();
    let name = |what: &str| format!("clockout.demo.{run}.{what}");
    Names {
        jobs_exchange: name("jobs"),
        jobs_queue: name("jobs"),
        shards: NonZeroU16::MIN,
        results_exchange: name("results"),
        results_queue: Some(name("results")),
        dead_exchange: name("dead"),
        dead_queue: name("dead"),
    }
}

/// Plays the plan beside a worker of its own, which has ended when this returns.
async fn perform<'p>(
    plan: &'p Plan,
    sim: &Sim,
    client: &Client,
    settings: Settings,
) -> anyhow::Result<Played<'p>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    client.set_up(&settings.broker).await?;
    let names = settings.broker.names.clone();
    let stage = Stage {
        client,
        jobs_exchange: &names.jobs_exchange,
        outcomes: client.follow(&names.results_exchange, &["#"]).await?,
        sim,
    };
    let stop = Stop::default();
    let mut worker = JoinSet::new();
    // Its settings never change.
    let (_, changes) = mpsc::channel(1);
    worker.spawn(run::work(settings, changes, stop.clone()));
    let played = tokio::select! {
        played = play::play(plan, stage) => played.map_err(Into::into),
        Some(ended) = worker.join_next() => match ended {
            Ok(Err(why)) => Err(why),
            Ok(Ok(_)) => Err(anyhow!("the worker ended too early")),
            Err(lost) => Err(lost.into()),
        },
        _ = terminated.recv() => Err(anyhow!("interrupted")),
        _ = interrupted.recv() => Err(anyhow!("interrupted")),
    };
    stop.drain.cancel();
    while let Some(ended) = worker.join_next().await {
        ended??;
    }
    played
}

async fn clean_up(client: Client, names: &Names) -> Result<(), ClientError> {
    client.delete(names).await?;
    client.close().await;
    Ok(())
}

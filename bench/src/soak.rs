//! A long run at a steady rate with bursts and failures: does everything get told, and does nothing grow?

mod jobs;
mod ledger;
mod trend;

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::json;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::contestant::{Contestant, Running};
use crate::origin::Origin;
use crate::results;
use crate::stage::http::Http;
use crate::stage::pbx::Pbx;
use crate::stage::{self, Stage};
use jobs::Schedule;
use ledger::{Ledger, Told};
use trend::Growth;

const PBX_LATENCY: Duration = Duration::from_millis(5);

/// How often the worker is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How often queues that nobody reads are emptied, and removed agents return to the PBX.
const TIDY: Duration = Duration::from_mins(1);

/// Longest wait for the next outcome once all jobs are published. Longer than a job is retried.
const PATIENCE: Duration = Duration::from_secs(90);

/// Let the worker work for an hour or so, and see whether anything grows.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    stage: stage::Arguments,
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Jobs per second, beside a burst each minute.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    #[arg(long, default_value = "target/bench/soak.json")]
    out: PathBuf,
}

/// The worker at one moment.
#[derive(Debug, Clone, Serialize)]
struct Look {
    seconds: f64,
    memory_mib: f64,
    memory_peak_mib: f64,
    handles: f64,
    threads: f64,
    tasks: f64,
    /// Jobs that wait in RabbitMQ.
    waiting: u32,
    outcomes: u64,
}

#[derive(Debug, Serialize)]
struct Soaked {
    #[serde(flatten)]
    origin: Origin,
    told: Told,
    memory_mib: Growth,
    handles: Growth,
    tasks: Growth,
    holds: bool,
    looks: Vec<Look>,
}

pub(crate) async fn execute(arguments: Arguments) -> Result<()> {
    let Arguments {
        stage,
        minutes,
        rate,
        out,
    } = arguments;
    let stage = Stage::set(stage).await?;
    let origin = Origin::of(&stage)?;
    let schedule = Schedule { minutes, rate };
    let (told, looks) = soak(&stage, schedule).await?;
    let grown = |figure: fn(&Look) -> f64, tolerated| {
        let points: Vec<_> = looks
            .iter()
            .map(|look| (look.seconds, figure(look)))
            .collect();
        Growth::of(&points, tolerated)
    };
    let memory_mib = grown(|look| look.memory_mib, 1.0)?;
    let handles = grown(|look| look.handles, 2.0)?;
    let tasks = grown(|look| look.tasks, 2.0)?;
    let holds = told.holds() && !memory_mib.grows && !handles.grows && !tasks.grows;
    println!("{told}");
    println!("memory, MiB: {memory_mib}");
    println!("handles:     {handles}");
    println!("tasks:       {tasks}");
    let soaked = Soaked {
        origin,
        told,
        memory_mib,
        handles,
        tasks,
        holds,
        looks,
    };
    results::keep(&soaked, &out)?;
    ensure!(holds, "the soak does not hold");
    Ok(())
}

async fn soak(stage: &Stage, schedule: Schedule) -> Result<(Told, Vec<Look>)> {
    stage.rabbit.clear().await?;
    let pbx = Pbx::start(&stage.clockout, PBX_LATENCY).await?;
    pbx.fail(&faults()).await?;
    let mut listener = stage.rabbit.listen().await?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let contestant = Contestant::clockout()
        .with("CLOCKOUT_HTTP_LISTEN", format!("127.0.0.1:{port}"))
        // The failures are ours, and thousands.
        .with("CLOCKOUT_LOG_FILTER", "error");
    let running = contestant.start(stage, &pbx)?;
    let begin = stage.await_consumer(&contestant).await?;
    let observer = Observer {
        stage,
        running: &running,
        http: Http::new()?,
        metrics: format!("http://127.0.0.1:{port}/metrics"),
        begin,
    };
    let publishing =
        stage
            .rabbit
            .put_on_time(stage.rabbit.jobs_queue(), begin, schedule.messages());
    tokio::pin!(publishing);
    let (mut published, mut heard_at) = (false, begin);
    let (mut ledger, mut looks) = (Ledger::default(), Vec::new());
    let (mut look, mut tidy) = (every(LOOK), every(TIDY));
    while !published || (ledger.jobs_told() < schedule.jobs() && heard_at.elapsed() < PATIENCE) {
        tokio::select! {
            done = &mut publishing, if !published => { done?; published = true }
            number = listener.next() => {
                ledger.note(number?);
                heard_at = Instant::now();
            }
            _ = look.tick() => {
                let seen = observer.look(&ledger).await?;
                eprintln!("{seen}");
                looks.push(seen);
            }
            _ = tidy.tick() => {
                stage.rabbit.purge().await?;
                pbx.restore_members().await?;
            }
        }
    }
    running.stop().await?;
    Ok((ledger.told(schedule), looks))
}

fn every(period: Duration) -> time::Interval {
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Every way in which a call or an item can fail, none of them so often that the breaker opens.
fn faults() -> serde_json::Value {
    let rule = |probability: f64, effect: serde_json::Value| json!({"match": {"probability": probability}, "effect": effect});
    json!([
        rule(0.01, json!({"item": {"fail": {"text": "Device is busy"}}})),
        rule(
            0.002,
            json!({"item": {"fail": {"text": "Member not dynamic"}}})
        ),
        rule(0.002, json!({"item": {"missing": {"applied": true}}})),
        rule(0.005, json!({"call": {"status": {"code": 503}}})),
        rule(0.002, json!({"call": "drop_before"})),
        rule(0.002, json!({"call": "drop_after"})),
        rule(0.002, json!({"call": {"garbage": {"applied": true}}})),
        rule(
            0.002,
            json!({"call": {"refuse_batch": {"http": 400, "text": "No."}}})
        ),
        rule(0.0001, json!({"call": {"hang": {"applied": true}}})),
        rule(0.1, json!({"latency": {"ms": 0, "jitter_ms": 20}})),
    ])
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seconds,
            memory_mib,
            memory_peak_mib,
            handles,
            threads,
            tasks,
            waiting,
            outcomes,
        } = self;
        write!(
            f,
            "{seconds:.0} s: {memory_mib:.1} MiB (peak {memory_peak_mib:.1}), {handles} handles, {threads} threads, \
             {tasks} tasks; {waiting} jobs wait, {outcomes} outcomes"
        )
    }
}

struct Observer<'a> {
    stage: &'a Stage,
    running: &'a Running,
    http: Http,
    metrics: String,
    begin: Instant,
}

impl Observer<'_> {
    async fn look(&self, ledger: &Ledger) -> Result<Look> {
        let usage = self.running.meter.read()?;
        let metrics = String::from_utf8(self.http.get(&self.metrics).await?)?;
        let tasks = metrics
            .lines()
            .find_map(|line| line.strip_prefix("clockout_tasks "));
        let mebibytes = |bytes| results::float(bytes) / results::float(1 << 20);
        Ok(Look {
            seconds: self.begin.elapsed().as_secs_f64(),
            memory_mib: mebibytes(usage.memory),
            memory_peak_mib: mebibytes(usage.memory_peak),
            handles: results::float(usage.handles),
            threads: results::float(usage.threads),
            tasks: tasks.context("the worker tells no tasks")?.parse()?,
            waiting: self
                .stage
                .rabbit
                .look(self.stage.rabbit.jobs_queue())
                .await?
                .0,
            outcomes: ledger.outcomes(),
        })
    }
}

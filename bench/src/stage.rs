//! What every measurement stands on: a broker, a simulated PBX, jobs, and a contestant that works on them.

mod greeting;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod listener;
pub(crate) mod pbx;
pub(crate) mod process;
pub(crate) mod rabbit;

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clockout::settings::{self, BrokerOnly};
use tokio::time::{self, Instant};

use crate::contestant::{Contestant, Running};
use crate::results::float;
use jobs::Jobs;
use pbx::Pbx;
use process::Unused;
use rabbit::Rabbit;

/// How often the broker is asked how far a contestant has come.
const LOOK: Duration = Duration::from_millis(20);

/// Longest wait for the next outcome.
const PATIENCE: Duration = Duration::from_mins(1);

/// The part of a backlog that is done before rates are taken: interpreters have started by then.
const WARM_UP: f64 = 0.05;

/// How often the broker is asked for a first consumer.
const GLANCE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, clap::Args)]
#[group(id = "stage")]
pub(crate) struct Arguments {
    /// The broker; everything in it under clockout's default names is deleted.
    #[arg(long, env = "CLOCKOUT_AMQP_URL", hide_env_values = true)]
    amqp_url: String,
    /// The worker to measure.
    #[arg(long, default_value = "target/release/clockout")]
    clockout: String,
    /// Where the peers are installed, each in a folder of its name.
    #[arg(long, default_value = "target/bench/peers")]
    peers: String,
}

/// Things that outlive single runs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) rabbit: Rabbit,
    /// Paths of the two programs: clockout's, and this one.
    pub(crate) clockout: String,
    pub(crate) bench: String,
    pub(crate) peers: String,
}

/// What a drained backlog showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    pub(crate) jobs_per_second: f64,
    /// Processor seconds for a thousand agents, which are a thousand jobs where each names one.
    pub(crate) worker_cpu: f64,
    pub(crate) broker_cpu: f64,
    pub(crate) pbx_cpu: f64,
    /// Processor seconds for a thousand agents that nobody used, and those of them in which somebody waited for a disk.
    pub(crate) idle: f64,
    pub(crate) disk: f64,
    /// Bytes.
    pub(crate) memory_peak: u64,
    pub(crate) load: pbx::Load,
}

impl Stage {
    pub(crate) async fn set(arguments: Arguments) -> Result<Self> {
        let Arguments {
            amqp_url,
            clockout,
            peers,
        } = arguments;
        let given = settings::Arguments {
            amqp_url: Some(amqp_url.clone()),
            ..settings::Arguments::default()
        };
        let settings = BrokerOnly::load(&given, []).map_err(|problems| anyhow!("{problems}"))?;
        Ok(Self {
            rabbit: Rabbit::connect(&amqp_url, settings.broker).await?,
            clockout,
            bench: std::env::current_exe()?.to_string_lossy().into_owned(),
            peers,
        })
    }

    /// Lets a contestant work a backlog off. Rates are those between the first twentieth of the outcomes and the last.
    pub(crate) async fn drain(
        &self,
        contestant: &Contestant,
        jobs: Jobs,
        latency: Duration,
    ) -> Result<Drained> {
        self.rabbit.clear().await?;
        let queue = contestant.jobs_queue(self);
        self.rabbit.fill(queue, contestant.messages(jobs)).await?;
        let pbx = Pbx::start(&self.clockout, latency).await?;
        let running = contestant.start(self, &pbx)?;
        let (all, warm) = (jobs.outcomes(), share(jobs.outcomes(), WARM_UP));
        let begun = self.await_outcomes(warm, &running).await?;
        let read = || -> Result<_> {
            let (worker, broker) = (running.meter.read()?, self.rabbit.meter.read()?);
            Ok((worker, broker, pbx.meter.read()?, Unused::read()?))
        };
        let before = read()?;
        let ended = self.await_outcomes(all, &running).await?;
        let after = read()?;
        running.stop().await?;
        ensure!(
            self.rabbit.look(queue).await?.0 == 0,
            "{contestant} left jobs behind"
        );
        let load = pbx.load().await?;
        let told = self.rabbit.look(self.rabbit.results_queue()?).await?.0 as usize;
        ensure!(told == all, "{contestant} told {told} outcomes of {all}");
        let called = if contestant.is_floor() { 0 } else { all };
        ensure!(
            load.agents == called as u64,
            "{contestant} called for {} agents of {called}",
            load.agents
        );
        let done = float(ended.outcomes.saturating_sub(begun.outcomes) as u64);
        let took = (ended.at - begun.at).as_secs_f64();
        let cpu = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1000.0 / done
        };
        Ok(Drained {
            jobs_per_second: done / float(jobs.agents as u64) / took,
            worker_cpu: cpu(before.0.cpu, after.0.cpu),
            broker_cpu: cpu(before.1.cpu, after.1.cpu),
            pbx_cpu: cpu(before.2.cpu, after.2.cpu),
            idle: cpu(before.3.idle, after.3.idle),
            disk: cpu(before.3.disk, after.3.disk),
            memory_peak: after.0.memory_peak,
            load,
        })
    }

    /// Lets a floor that times itself work so many jobs off, with or without a queue for its outcomes: jobs per second.
    pub(crate) async fn self_timed(
        &self,
        contestant: &Contestant,
        jobs: Jobs,
        outcomes_kept: bool,
    ) -> Result<f64> {
        self.rabbit.clear().await?;
        if !outcomes_kept {
            self.rabbit.unbind_results().await?;
        }
        let queue = contestant.jobs_queue(self);
        self.rabbit.fill(queue, contestant.messages(jobs)).await?;
        let pbx = Pbx::start(&self.clockout, Duration::ZERO).await?;
        let printed = contestant.start(self, &pbx)?.printed().await?;
        Ok(printed.trim().parse()?)
    }

    /// Waits until the broker shows a contestant as consumer of its queue, and tells when that was.
    pub(crate) async fn await_consumer(&self, contestant: &Contestant) -> Result<Instant> {
        let begun = Instant::now();
        let queue = contestant.jobs_queue(self);
        while self.rabbit.look(queue).await?.1 == 0 {
            ensure!(begun.elapsed() < PATIENCE, "{contestant} does not consume");
            time::sleep(GLANCE).await;
        }
        Ok(Instant::now())
    }

    /// Waits until there are so many outcomes, as long as they keep coming.
    pub(crate) async fn await_outcomes(
        &self,
        wanted: usize,
        running: &Running,
    ) -> Result<Progress> {
        let queue = self.rabbit.results_queue()?;
        let mut last = Progress {
            outcomes: 0,
            at: Instant::now(),
        };
        loop {
            let outcomes = self.rabbit.look(queue).await?.0 as usize;
            let at = Instant::now();
            if outcomes >= wanted {
                return Ok(Progress { outcomes, at });
            }
            if outcomes > last.outcomes {
                last = Progress { outcomes, at };
            }
            ensure!(
                at - last.at < PATIENCE,
                "{running}: {outcomes} of {wanted} outcomes, and no more come"
            );
            time::sleep(LOOK).await;
        }
    }
}

/// How many outcomes there were, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) outcomes: usize,
    pub(crate) at: Instant,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count, rounded down"
)]
fn share(of: usize, part: f64) -> usize {
    (of as f64 * part) as usize
}

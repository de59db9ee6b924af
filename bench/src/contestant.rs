//! Who is measured: how each is started, which jobs it takes, how it is stopped.

use std::fmt;
use std::fs::File;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};

use crate::celery;
use crate::stage::Stage;
use crate::stage::jobs::Jobs;
use crate::stage::pbx::Pbx;
use crate::stage::process::Meter;
use crate::stage::rabbit::{Message, PEERS_QUEUE};

/// What tables call clockout.
pub(crate) const CLOCKOUT: &str = "clockout";

/// What tables call the floor.
pub(crate) const FLOOR: &str = "floor";

/// Where clockout's log goes, that of the last run.
const LOG: &str = "target/bench/clockout.log";

/// A worker program with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    /// Environment beyond the addresses.
    pub(crate) settings: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Clockout,
    /// `clockout-bench floor`; after so many jobs it ends by itself and prints its rate.
    Floor {
        kind: FloorKind,
        jobs: Option<usize>,
    },
    /// A program under `bench/peers`.
    Peer(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FloorKind {
    /// Publishes an outcome for each job and acknowledges it after the confirm.
    Publish,
    /// Acknowledges only.
    Ack,
}

/// A contestant at work; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    process: Child,
    pub(crate) meter: Meter,
}

impl Contestant {
    pub(crate) fn clockout() -> Self {
        Self {
            kind: Kind::Clockout,
            settings: Vec::new(),
        }
    }

    pub(crate) fn floor() -> Self {
        Self {
            kind: Kind::Floor {
                kind: FloorKind::Publish,
                jobs: None,
            },
            settings: Vec::new(),
        }
    }

    /// A floor that times itself, as no outcomes can be counted.
    pub(crate) fn floor_of(kind: FloorKind, jobs: usize) -> Self {
        Self {
            kind: Kind::Floor {
                kind,
                jobs: Some(jobs),
            },
            settings: Vec::new(),
        }
    }

    pub(crate) fn peer(name: &'static str) -> Self {
        Self {
            kind: Kind::Peer(name),
            settings: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.settings.retain(|(given, _)| *given != key);
        self.settings.push((key, value.to_string()));
        self
    }

    /// What tables call it.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Clockout => CLOCKOUT,
            Kind::Floor { .. } => FLOOR,
            Kind::Peer(name) => name,
        }
    }

    /// Whether it calls no PBX.
    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor { .. })
    }

    pub(crate) fn jobs_queue<'a>(&self, stage: &'a Stage) -> &'a str {
        match self.kind {
            Kind::Clockout => stage.rabbit.jobs_queue(),
            Kind::Floor { .. } | Kind::Peer(_) => PEERS_QUEUE,
        }
    }

    /// The jobs in the form that it reads.
    pub(crate) fn messages(&self, jobs: Jobs) -> Box<dyn Iterator<Item = Message>> {
        let bodies = jobs.bodies();
        match self.kind {
            Kind::Peer("celery-batches") => Box::new(bodies.map(|body| celery::task(&body))),
            Kind::Clockout | Kind::Floor { .. } | Kind::Peer(_) => {
                Box::new(bodies.map(|body| Message::json(body.to_string().into_bytes())))
            }
        }
    }

    pub(crate) fn start(&self, stage: &Stage, pbx: &Pbx) -> Result<Running> {
        let mut command = self.program(stage);
        match self.kind {
            Kind::Clockout => command
                .env("CLOCKOUT_AMQP_URL", &stage.rabbit.url)
                .env("CLOCKOUT_PBX_BASE_URL", &pbx.url)
                .stderr(File::create(LOG).with_context(|| LOG)?),
            Kind::Floor { .. } | Kind::Peer(_) => command
                .env("AMQP_URL", &stage.rabbit.url)
                .env("PBX_URL", &pbx.url)
                .env("JOBS_QUEUE", PEERS_QUEUE)
                .env("RESULTS_EXCHANGE", stage.rabbit.results_exchange()),
        };
        let prints_its_rate = matches!(self.kind, Kind::Floor { jobs: Some(_), .. });
        let process = command
            .envs(self.settings.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::null())
            .stdout(if prints_its_rate {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{self} does not start"))?;
        let pid = process.id().context("it has just started")?;
        Ok(Running {
            name: self.to_string(),
            meter: Meter::of(pid)?,
            process,
        })
    }

    fn program(&self, stage: &Stage) -> Command {
        match self.kind {
            Kind::Clockout => {
                let mut command = Command::new(&stage.clockout);
                command.arg("run");
                command
            }
            Kind::Floor { kind, jobs } => {
                let mut command = Command::new(&stage.bench);
                command.args(["floor", "--kind", kind.name()]);
                if let Some(jobs) = jobs {
                    command.arg("--jobs").arg(jobs.to_string());
                }
                command
            }
            Kind::Peer(name) => {
                let mut command = Command::new(format!("bench/peers/{name}/run"));
                command.arg(format!("{}/{name}", stage.peers));
                command
            }
        }
    }
}

/// As one would type it, addresses left out.
impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.settings {
            write!(f, "{key}={value} ")?;
        }
        match self.kind {
            Kind::Clockout => write!(f, "clockout run"),
            Kind::Floor { kind, jobs } => {
                write!(f, "clockout-bench floor --kind {}", kind.name())?;
                jobs.map_or(Ok(()), |jobs| write!(f, " --jobs {jobs}"))
            }
            Kind::Peer(name) => write!(f, "bench/peers/{name}/run target/bench/peers/{name}"),
        }
    }
}

impl FloorKind {
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Ack => "ack",
        }
    }
}

impl Running {
    /// Waits until it ends by itself, and tells what it printed.
    pub(crate) async fn printed(self) -> Result<String> {
        let output = self.process.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "{} ended with {}",
            self.name,
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self
            .process
            .id()
            .with_context(|| format!("{} ended by itself", self.name))?;
        ensure!(
            Command::new("kill")
                .arg("-TERM")
                .arg(pid.to_string())
                .status()
                .await?
                .success(),
            "{} could not be asked to end",
            self.name
        );
        let status = self.process.wait().await?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

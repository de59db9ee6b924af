//! The settings (CONTRACT §7): raw values to meaning, all problems at once. The only reader of environment and of the
//! files that settings name; every other module gets values.
//!
//! Defaults lie lowest, then the TOML file, then environment variables, then flags. No secret leaves in a type or text
//! that prints it. Only the command line reads this module; it hands each part its own small `Settings`.

mod address;
mod check;
mod duration;
mod environment;
mod file;
mod given;
mod identity;
mod keys;
mod meaning;
mod misfit;
mod overview;
mod problem;
mod raw;
mod reader;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

pub use duration::parse as parse_duration;
pub use overview::{Effective, Overview, Shown};
pub use problem::{Origin, Problem, Problems};
pub use reader::{Changes, Reader};

use crate::{broker, engine, pbx, telemetry, traces, wire};
use check::Check;
use given::Given;
use keys::Keys;
use raw::Raw;

/// Everything the worker is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub broker: broker::Settings,
    pub pbx: pbx::client::Settings,
    pub engine: engine::Settings,
    pub jobs: wire::job::Settings,
    /// Name of the PBX in outcomes.
    pub pbx_name: String,
    /// Name of this instance in outcomes.
    pub worker_name: String,
    /// Where probes and metrics are served; `None`: nowhere.
    pub http_listen: Option<SocketAddr>,
    /// What operators must know who have the worker do things; `None`: nobody may.
    pub actions_token: Option<SecretString>,
    pub log: telemetry::Settings,
    /// Where spans go; `None`: nowhere.
    pub traces: Option<traces::Settings>,
    /// How long a drain may take.
    pub grace: Duration,
    /// How long nothing may move before the watchdog steps in.
    pub patience: Duration,
}

/// What a command is told that talks to RabbitMQ alone. No PBX has to be named for it.
#[derive(Debug, Clone)]
pub struct BrokerOnly {
    pub broker: broker::Settings,
    pub pbx_name: String,
    pub log: telemetry::Settings,
}

/// What the command line says of the settings.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// The settings file, instead of the one that `CLOCKOUT_CONFIG` names.
    pub config: Option<PathBuf>,
    /// Overrides `amqp.url`.
    pub amqp_url: Option<String>,
    /// Overrides `pbx.base_url`: a command that brings its own simulated PBX points the worker to it.
    pub pbx_base_url: Option<String>,
}

impl Settings {
    /// Reads the settings from file and environment.
    pub fn from_process(arguments: &Arguments) -> Result<Self, Problems> {
        Self::load(arguments, std::env::vars_os())
    }

    /// The same with an environment of the caller's.
    pub fn load(
        arguments: &Arguments,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let (raw, mut check) = read(arguments, environment);
        let settings = meaning::worker(raw, &mut check);
        check.finish(settings)
    }
}

impl BrokerOnly {
    /// Reads the settings from file and environment.
    pub fn from_process(arguments: &Arguments) -> Result<Self, Problems> {
        Self::load(arguments, std::env::vars_os())
    }

    /// The same with an environment of the caller's.
    pub fn load(
        arguments: &Arguments,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let (raw, mut check) = read(arguments, environment);
        let settings = meaning::broker_only(raw, &mut check);
        check.finish(settings)
    }
}

/// Where a worker with the settings of file and environment listens for probes; `None`: nowhere. The other settings may
/// be anything.
pub fn http_listen(arguments: &Arguments) -> Result<Option<SocketAddr>, Problems> {
    let (raw, mut check) = read(arguments, std::env::vars_os());
    let listen = meaning::http_listen(&raw.http.listen, &mut check);
    check.finish(Some(listen))
}

/// JSON Schema (2020-12) of the settings file.
pub fn schema() -> serde_json::Value {
    raw::schema()
}

/// Lays file, environment and flags over the defaults, and starts the list of problems.
fn read(
    arguments: &Arguments,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Raw, Check) {
    let keys = Keys::known();
    let environment: Vec<_> = environment.into_iter().collect();
    let mut problems = Vec::new();
    let from_file = match config_path(arguments, &environment) {
        Some(path) => file::given(&path, &keys, &mut problems),
        None => Vec::new(),
    };
    let from_environment = environment::given(&environment, &keys, &mut problems);
    let merged = given::merge([from_file, from_environment, flags(arguments)], &keys);
    (merged.raw, Check::new(merged.origins, problems))
}

fn config_path(arguments: &Arguments, environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let named = || {
        let (_, path) = environment
            .iter()
            .find(|(name, _)| name == environment::CONFIG)?;
        // Compose files pass on what is not set as an empty text.
        Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())
    };
    arguments.config.clone().or_else(named)
}

fn flags(arguments: &Arguments) -> Vec<Given> {
    let given = [
        ("amqp.url", "--amqp-url", &arguments.amqp_url),
        ("pbx.base_url", "the simulated PBX", &arguments.pbx_base_url),
    ];
    let given = given.into_iter().filter_map(|(key, flag, value)| {
        let value = value.as_deref()?.into();
        Some(Given {
            key: key.to_owned(),
            value,
            origin: Origin::Flag(flag),
        })
    });
    given.collect()
}

/// Host name and process id, so that several workers on one host differ.
fn default_worker_name() -> String {
    let host = file::read_text(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let host = match host.trim() {
        "" => "clockout",
        host => host,
    };
    format!("{host}-{}", std::process::id())
}

#[cfg(test)]
mod tests;

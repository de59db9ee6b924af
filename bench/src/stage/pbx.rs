//! The simulated PBX, as a process of its own.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::http::Http;
use super::process::Meter;

#[derive(Debug)]
pub(crate) struct Pbx {
    pub(crate) url: String,
    pub(crate) meter: Meter,
    http: Http,
    /// Ends with us.
    _process: Child,
}

/// What it was asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Load {
    pub(crate) calls: u64,
    pub(crate) agents: u64,
}

#[derive(Debug, Deserialize)]
struct Stats {
    total: Load,
}

impl Pbx {
    /// `latency`: of every call.
    pub(crate) async fn start(clockout: &str, latency: Duration) -> Result<Self> {
        let mut process = Command::new(clockout)
            .args(["pbx-sim", "--listen", "127.0.0.1:0", "--latency"])
            .arg(format!("{}ms", latency.as_millis()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{clockout} does not start: cargo build --release"))?;
        let said = process
            .stdout
            .take()
            .context("the PBX has a standard output")?;
        let url = BufReader::new(said).lines().next_line().await?;
        let pid = process.id().context("the simulated PBX ended at once")?;
        Ok(Self {
            url: url.context("the simulated PBX named no address")?,
            meter: Meter::of(pid)?,
            http: Http::new()?,
            _process: process,
        })
    }

    pub(crate) async fn load(&self) -> Result<Load> {
        let stats = self.http.get(&format!("{}/sim/stats", self.url)).await?;
        let stats: Stats = serde_json::from_slice(&stats)?;
        Ok(stats.total)
    }

    /// Forgets who was paused or removed.
    pub(crate) async fn restore_members(&self) -> Result<()> {
        self.http.delete(&format!("{}/sim/state", self.url)).await
    }

    /// Makes it fail by rules (`docs/pbx-sim.md`).
    pub(crate) async fn fail(&self, rules: &Value) -> Result<()> {
        let faults = format!("{}/sim/faults", self.url);
        self.http.put(&faults, rules.to_string()).await
    }
}

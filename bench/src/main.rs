//! Measures clockout beside the least that a worker must do (the floor) and beside what one would write instead (the
//! peers), in alternating rounds on one machine. `make bench` runs it; `bench/README.md` says how to read it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that prints what it measured"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads clocks and its own environment"
)]

mod celery;
mod contestant;
mod floor;
mod results;
mod stage;
mod suite;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use clockout::settings::{Arguments, BrokerOnly};

use stage::Stage;
use stage::rabbit::Rabbit;
use suite::{Part, Plan};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure, print, and keep the results as JSON.
    Suite {
        /// The broker; everything in it under clockout's default names is deleted.
        #[arg(long, env = "CLOCKOUT_AMQP_URL")]
        amqp_url: String,
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Smaller, for a first look.
        #[arg(long)]
        quick: bool,
        /// Only these parts.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Part>,
        #[arg(long, default_value = "target/bench/results.json")]
        out: PathBuf,
        /// The worker to measure.
        #[arg(long, default_value = "target/release/clockout")]
        clockout: String,
    },
    Floor(floor::Arguments),
}

#[tokio::main]
async fn main() -> Result<()> {
    // lapin and reqwest ask for one, whether or not they are to speak TLS.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    match Cli::parse().command {
        Command::Floor(arguments) => floor::execute(arguments).await,
        Command::Suite {
            amqp_url,
            rounds,
            quick,
            only,
            out,
            clockout,
        } => {
            let arguments = Arguments {
                amqp_url: Some(amqp_url.clone()),
                ..Arguments::default()
            };
            let settings = BrokerOnly::load(&arguments, [])
                .map_err(|problems| anyhow::anyhow!("{problems}"))?;
            let stage = Stage {
                rabbit: Rabbit::connect(&amqp_url, settings.broker).await?,
                clockout,
                bench: std::env::current_exe()?.to_string_lossy().into_owned(),
                peers: "target/bench/peers".into(),
            };
            let parts = if only.is_empty() {
                vec![Part::Drain]
            } else {
                only
            };
            let mut samples = suite::run(
                &stage,
                &Plan {
                    rounds,
                    parts,
                    quick,
                },
            )
            .await?;
            results::compare(
                &mut samples,
                "jobs_per_second",
                |row| row.who == "floor",
                "to_floor",
            );
            let rows = results::rows(&samples);
            println!(
                "{}",
                serde_json::to_string_pretty(&rows).context("figures are numbers")?
            );
            drop(out);
            Ok(())
        }
    }
}

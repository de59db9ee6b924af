//! Measures clockout beside the least that a worker must do (the floor) and beside what one would write instead (the
//! peers), in alternating rounds on one machine. `make bench` runs it; `bench/README.md` says how to read it.

#![forbid(unsafe_code)]
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
mod origin;
mod results;
mod soak;
mod stage;
mod suite;
mod tables;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Suite(suite::Arguments),
    Soak(soak::Arguments),
    Floor(floor::Arguments),
}

#[tokio::main]
async fn main() -> Result<()> {
    // lapin and reqwest ask for one, whether or not they are to speak TLS.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    match Cli::parse().command {
        Command::Suite(arguments) => suite::execute(arguments).await,
        Command::Soak(arguments) => soak::execute(arguments).await,
        Command::Floor(arguments) => floor::execute(arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}

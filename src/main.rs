//! Arguments to dispatch to exit code; nothing else.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// A usage error ends the process with 2, an error of a command with 1: [`cli::Exit`] has the rest.
fn main() -> anyhow::Result<ExitCode> {
    let exit = cli::execute(cli::Cli::parse())?;
    Ok(exit.into())
}

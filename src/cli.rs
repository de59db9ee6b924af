//! The command line: one file per command, and what they share.
//!
//! Standard output gets only what a command was asked for; everything else goes to standard error.

mod pbx_sim;
mod schema;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

/// Takes call-centre agents off their PBX queues when their shift ends.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    PbxSim(pbx_sim::Arguments),
    Schema(schema::Arguments),
}

/// How a command ended that could do its work (CONTRACT §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
        }
    }
}

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::PbxSim(arguments) => Runtime::new()?.block_on(pbx_sim::execute(arguments)),
        Command::Schema(arguments) => schema::execute(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}

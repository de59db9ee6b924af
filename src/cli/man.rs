//! `clockout man`: the manual pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::{Cli, Exit};

/// Write the manual pages: `clockout.1`, and one for each command.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout man /usr/local/share/man/man1")]
pub(crate) struct Arguments {
    /// The directory to write to; it must be there.
    directory: PathBuf,
}

pub(super) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    clap_mangen::generate_to(Cli::command(), directory)
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    Ok(Exit::Done)
}

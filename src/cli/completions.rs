//! `clockout completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Exit, terminal};

/// Print what a shell needs to complete commands and flags.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  clockout completions bash > /etc/bash_completion.d/clockout
  clockout completions zsh > /usr/local/share/zsh/site-functions/_clockout
  clockout completions fish > ~/.config/fish/completions/clockout.fish")]
pub(crate) struct Arguments {
    /// For which shell.
    shell: Shell,
}

pub(super) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    // Made in memory, as the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "clockout",
        &mut script,
    );
    terminal::print(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}

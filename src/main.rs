//! Arguments to dispatch to exit code; nothing else.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[expect(
    clippy::print_stderr,
    reason = "the last word of a command that failed, with or without a log"
)]
fn main() -> ExitCode {
    let exit = cli::execute(cli::Cli::parse()).unwrap_or_else(|error| {
        eprintln!("clockout: {error:#}");
        cli::Exit::of(&error)
    });
    exit.into()
}

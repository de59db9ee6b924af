//! Arguments to dispatch to exit code; nothing else.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Jobs are many small things that live for long and go one by one, which costs the system's allocator twice the time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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

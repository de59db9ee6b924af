//! The command line: one file per command, and what they share.
//!
//! Standard output gets only what a command was asked for; everything else goes to standard error.

mod check;
mod completions;
mod config;
mod dead;
mod demo;
#[cfg(test)]
mod examples;
mod man;
mod outcome;
mod pace;
mod pbx_sim;
mod run;
mod schema;
mod send;
mod signals;
mod status;
mod terminal;
mod values;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clockout::settings;

const EXAMPLES: &str = "\
Examples:
  clockout demo
  clockout check --config /etc/clockout/clockout.toml
  clockout send --csv shift-end.csv --expires-in 15m --wait
  clockout status";

/// Takes call-centre agents off their PBX queues when their shift ends.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Config(config::Arguments),
    Dead(dead::Arguments),
    Demo(demo::Arguments),
    PbxSim(pbx_sim::Arguments),
    Send(send::Arguments),
    Watch(watch::Arguments),
    Status(status::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// What every command takes that reads the settings.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The settings file; else the one that `CLOCKOUT_CONFIG` names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where RabbitMQ is; overrides `amqp.url`.
    #[arg(long, value_name = "URL")]
    amqp_url: Option<String>,
}

impl From<Common> for settings::Arguments {
    fn from(Common { config, amqp_url }: Common) -> Self {
        Self {
            config,
            amqp_url,
            pbx_base_url: None,
        }
    }
}

/// How a command ended (CONTRACT §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    /// Wrong usage or settings.
    Misused,
    /// `run` only: jobs went back to RabbitMQ undone.
    GaveBack,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Misused => Self::from(2),
            Exit::GaveBack => Self::from(3),
        }
    }
}

impl Exit {
    /// What an error means to whoever called.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<settings::Problems>() || error.is::<send::BadInput>() {
            Self::Misused
        } else {
            Self::Failed
        }
    }
}

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(arguments) => run::execute(arguments),
        Command::Check(arguments) => block_on(check::execute(arguments)),
        Command::Config(arguments) => config::execute(arguments),
        Command::Dead(arguments) => block_on(dead::execute(arguments)),
        Command::Demo(arguments) => block_on(demo::execute(arguments)),
        Command::PbxSim(arguments) => block_on(pbx_sim::execute(arguments)),
        Command::Send(arguments) => block_on(send::execute(arguments)),
        Command::Watch(arguments) => block_on(watch::execute(arguments)),
        Command::Status(arguments) => block_on(status::execute(arguments)),
        Command::Schema(arguments) => schema::execute(&arguments),
        Command::Completions(arguments) => completions::execute(&arguments),
        Command::Man(arguments) => man::execute(&arguments),
    }
}

/// One thread for all tasks, beside lapin's own for each connection: handing a job from thread to thread costs more than
/// working on it (`docs/performance.md`).
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Does not wait for threads that hang, as in a look-up of a name that no server answers: a second signal ends a worker at once.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use clap::CommandFactory;
    use tokio::sync::oneshot;
    use tokio::task;

    use super::*;

    #[test]
    fn a_thread_that_hangs_keeps_no_command_from_ending() {
        let (answer, question) = mpsc::channel();
        let (began, hangs) = oneshot::channel();
        let hang = move || {
            began.send(()).unwrap();
            question.recv_timeout(Duration::from_secs(5))
        };
        let command = async {
            task::spawn_blocking(hang);
            Ok(hangs.await?)
        };
        block_on(command).unwrap();
        answer.send(()).expect("it still hangs");
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}

//! `clockout schema`: prints what a job or an outcome has to look like.

use clap::{Args, ValueEnum};
use clockout::{settings, wire};

use super::{Exit, terminal};

/// Print a JSON Schema (2020-12).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout schema job > job.schema.json")]
pub(crate) struct Arguments {
    /// What to describe.
    subject: Subject,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Subject {
    /// What producers send to the jobs exchange.
    Job,
    /// What consumers get from the results exchange.
    Outcome,
    /// The settings file.
    Config,
}

pub(super) fn execute(arguments: &Arguments) -> anyhow::Result<Exit> {
    let schema = match arguments.subject {
        Subject::Job => wire::schema::job().to_value(),
        Subject::Outcome => wire::schema::outcome().to_value(),
        Subject::Config => settings::schema(),
    };
    let schema = serde_json::to_string_pretty(&schema)?;
    terminal::print_line(schema)?;
    Ok(Exit::Done)
}

//! `clockout send`: publishes jobs from flags, CSV or JSON lines, all of them checked before the first.
//!
//! What is sent is what was given; a job without an id gets one, which travels beside it.

mod bad_input;
mod draft;
mod input;
mod json_lines;
mod ledger;
mod letter;
mod post;
mod rows;
mod wait;

use std::fmt;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use clockout::broker::client::Client;
use clockout::engine::job::Job;
use clockout::settings::BrokerOnly;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};
use uuid::Uuid;

use self::input::{Input, InputFlags};
use self::ledger::Ledger;
use self::letter::Size;
use self::post::{Cause, Confirmed, Post};
use self::wait::Wait;
use super::outcome::json_line;
use super::pace::Pace;
use super::signals::Signals;
use super::terminal::Reader;
use super::{Common, Exit, terminal, values};

pub(super) use self::bad_input::BadInput;

const EXAMPLES: &str = "\
Examples:
  clockout send --action pause --queue 10000 --agent 570 --agent 553 --reason 'shift end' --wait
  clockout send --csv shift-end.csv --expires-in 15m --wait
  clockout send --csv agents.csv --action remove --rate 50
  make-jobs | clockout send --jsonl - --json

A CSV file begins with the names of its columns, which are the fields of a job: action, queue, agent or agents \
(separated by spaces), job_id, correlation_id, requested_at, expires_at, reason, context, dry_run. An empty cell is a \
field left out.";

/// From here on the progress is shown.
const LONG_MIN: u64 = 500;

/// Send jobs, from flags, a CSV file or JSON lines.
///
/// All jobs are checked before the first is sent, by the rules that the worker goes by; if any is wrong, or there is
/// none, what is wrong and where is said, nothing is sent, and it ends with 2. Jobs go in their order and are confirmed
/// by RabbitMQ; if some could not be sent, it says how many were and ends with 1. With --wait it also ends with 1 unless
/// every job succeeded or was a dry run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    manner: Manner,
    /// Send nothing: check all jobs, and print what would be sent as JSON lines.
    #[arg(long)]
    dry_run: bool,
}

/// How jobs are sent.
#[derive(Debug, Args)]
struct Manner {
    /// Follow the outcomes of what is sent; ends with a table.
    #[arg(long)]
    wait: bool,
    /// With --wait: give up when no outcome has come for so long.
    #[arg(long, value_name = "DURATION", default_value = "1m", requires = "wait", value_parser = values::duration)]
    timeout: Duration,
    /// Send at most so many jobs per second.
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    rate: Option<NonZeroU32>,
    /// Print each job that was sent, or with --wait each outcome, as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = BrokerOnly::from_process(&arguments.common.into())?.broker;
    let manner = arguments.manner;
    let mut input = Input::open(&arguments.input)?;
    let run = Uuid::new_v4();
    let mut ledger = Ledger::default();
    let size = letter::check(&mut input, run, |job| {
        if manner.wait {
            ledger.expect(job);
        }
    })?;
    if arguments.dry_run {
        return print_letters(&mut input, run);
    }
    let mut signals = Signals::heed()?;
    let client = Client::connect(&settings, "send").await?;
    let post = Post {
        client: &client,
        exchange: &settings.names.jobs_exchange,
        letters: letter::all(&mut input, run)?,
        pace: Pace::new(manner.rate),
        jobs: size.jobs,
        confirmed: Confirmed::default(),
    };
    let exit = if manner.wait {
        let wait = Wait {
            // Before anything is sent, or it could be told before anybody listens.
            feed: client
                .follow(&settings.names.results_exchange, &ledger.patterns())
                .await?,
            bar: bar(ledger.owed() as u64, "outcomes", manner.json)?,
            ledger,
            timeout: manner.timeout,
            json: manner.json,
        };
        let ledger = wait.through(post, &mut signals).await?;
        print_ledger(&ledger, manner.json)?
    } else {
        send(post, &mut signals, size, manner.json).await?
    };
    client.close().await;
    Ok(exit)
}

/// What would be sent; good as an input of JSON lines.
fn print_letters(input: &mut Input, run: Uuid) -> anyhow::Result<Exit> {
    for letter in letter::all(input, run)? {
        let letter = letter.map_err(Cause::from)?;
        if terminal::print_line(json_line(&letter.message.body))? == Reader::Gone {
            break;
        }
    }
    Ok(Exit::Done)
}

async fn send(
    mut post: Post<'_>,
    signals: &mut Signals,
    size: Size,
    json: bool,
) -> anyhow::Result<Exit> {
    let bar = bar(size.jobs, "jobs", json)?;
    let mut last_id = None;
    while let Some(jobs) = post.send_some(signals).await? {
        bar.inc(jobs.len() as u64);
        for job in jobs {
            if json {
                terminal::print_line(sent_line(&job))?;
            }
            last_id = Some(job.id);
        }
    }
    bar.finish_and_clear();
    if json {
        return Ok(Exit::Done);
    }
    let sent = match (size.jobs, last_id) {
        (1, Some(id)) => format!("sent job {}", terminal::printable(id.as_str())),
        _ => format!("sent {} jobs for {} agents", size.jobs, size.agents),
    };
    terminal::print_line(sent)?;
    Ok(Exit::Done)
}

fn sent_line(job: &Job) -> Value {
    let agents: Vec<&str> = job
        .targets()
        .iter()
        .map(|target| target.agent.as_str())
        .collect();
    json!({
        "job_id": job.id.as_str(),
        "action": job.action.as_str(),
        "queue": job.queue.as_str(),
        "agents": agents,
    })
}

fn print_ledger(ledger: &Ledger, json: bool) -> io::Result<Exit> {
    if json {
        for missing in ledger.missing() {
            terminal::print_line(missing)?;
        }
    } else {
        ledger.endings().print()?;
        let unsuccessful = ledger.unsuccessful();
        if !unsuccessful.is_empty() {
            unsuccessful.print()?;
        }
        match ledger.not_shown() {
            0 => {}
            more => writeln!(io::stderr(), "… and {more} more; --json has all")?,
        }
    }
    Ok(if ledger.is_good() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// On standard error, if that is a terminal and there is much to do. Lines of JSON on the same terminal would tear it.
fn bar(length: u64, what: &'static str, json: bool) -> anyhow::Result<ProgressBar> {
    if length < LONG_MIN || json {
        return Ok(ProgressBar::hidden());
    }
    // Its own `per_sec` has four decimals.
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        write!(out, "{:.0}/s", state.per_sec()).ok();
    };
    let style = ProgressStyle::with_template("{elapsed} {wide_bar} {pos} of {len} {msg}, {rate}")?
        .with_key("rate", rate);
    Ok(ProgressBar::new(length)
        .with_style(style)
        .with_message(what))
}

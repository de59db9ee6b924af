//! `clockout watch`: follows outcomes as they are told, from a queue of its own.

mod filter;

use std::io::{self, Write as _};
use std::num::NonZeroU64;

use clap::Args;
use clockout::broker::client::Client;
use clockout::settings::BrokerOnly;
use clockout::wire::told::Outcome;

use self::filter::Filter;
use super::outcome::{self, json_line};
use super::signals::Signals;
use super::terminal::Reader;
use super::{Common, Exit, terminal, values};

const EXAMPLES: &str = "\
Examples:
  clockout watch
  clockout watch --status failed,unknown,invalid --queue 10000
  clockout watch --job-id shift-2291/570 --count 1 --json

In a pipe the columns are separated by tabs: completed_at, action, queue, agent, status, code, job_id, message.";

/// Follow outcomes as they are told.
///
/// Listens to the results exchange with a queue of its own: takes nothing from anybody, and misses what was told before
/// it began. A filter that is given several times, or with commas, lets any of its values pass; an outcome has to pass
/// every filter. Ends with 0 on SIGINT or SIGTERM, after --count outcomes, or when nobody reads its output any more.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    filter: Filter,
    /// End after so many outcomes.
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU64>)]
    count: Option<NonZeroU64>,
    /// Print each outcome as the line of JSON that it is.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = BrokerOnly::from_process(&arguments.common.into())?.broker;
    let mut signals = Signals::heed()?;
    let client = Client::connect(&settings, "watch").await?;
    let exchange = &settings.names.results_exchange;
    let mut feed = client
        .follow(exchange, &arguments.filter.patterns())
        .await?;
    writeln!(io::stderr(), "following outcomes on {exchange}")?;
    let mut left = arguments.count.map(NonZeroU64::get);
    while left != Some(0) {
        let received = tokio::select! {
            received = feed.next() => received?,
            () = signals.next() => break,
        };
        let Ok(outcome) = Outcome::read(&received.body) else {
            let key = terminal::printable(&received.routing_key);
            writeln!(io::stderr(), "left out what is no outcome: {key}")?;
            continue;
        };
        if !arguments.filter.passes(&outcome) {
            continue;
        }
        let reader = if arguments.json {
            terminal::print_line(json_line(&received.body))
        } else {
            terminal::print_line(line(&outcome))
        };
        if reader? == Reader::Gone {
            break;
        }
        left = left.map(|left| left - 1);
    }
    client.close().await;
    Ok(Exit::Done)
}

fn line(outcome: &Outcome) -> String {
    if terminal::is_watched() {
        aligned(outcome)
    } else {
        outcome::columns(outcome).join("\t")
    }
}

/// Columns as wide as what usually stands in them: what is to come is not known.
fn aligned(outcome: &Outcome) -> String {
    let [
        completed_at,
        action,
        queue,
        agent,
        status,
        code,
        job_id,
        message,
    ] = outcome::columns(outcome);
    let ending = terminal::painted(format!("{status:<10}  {code:<16}"), outcome::tone(outcome));
    format!("{completed_at}  {action:<6}  {queue:<8}  {agent:<8}  {ending}  {job_id}  {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_terminal_columns_stand_below_each_other_and_the_ending_has_its_colour() {
        assert_eq!(
            aligned(&outcome::sample()),
            "2026-11-21T18:10:01.999Z  pause   10000     570       \u{1b}[32msucceeded   applied         \u{1b}[0m  j-1  \
             Paused successfully"
        );
    }
}

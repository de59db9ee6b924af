//! `clockout dead`: lists, shows, replays and drops dead letters (CONTRACT §6).
//!
//! Letters are only ever taken out of their queue by `replay`, after RabbitMQ has confirmed the job that each became, and by
//! `drop --yes`. What is read besides stays, in its place.

mod age;
mod choice;
mod drop;
mod groups;
mod json;
mod list;
mod replay;
mod show;
mod walk;

use clap::{Args, Subcommand};
use clockout::broker::Names;
use clockout::broker::client::Client;
use clockout::engine::job::Timestamp;
use clockout::engine::outcome::Status;
use clockout::settings::BrokerOnly;
use clockout::worker::Clock;

use self::choice::Choice;
use self::walk::Walk;
use super::signals::Signals;
use super::terminal::{Tone, counted};
use super::{Common, Exit};

const EXAMPLES: &str = "\
Examples:
  clockout dead list
  clockout dead show shift-2291/570
  clockout dead replay --code exhausted --now
  clockout dead drop --code not_member --older-than 7d --yes";

/// Mend what failed: list, show, replay or drop dead letters.
///
/// A job that ends failed, unknown or invalid becomes a dead letter: the job as it came, and why it failed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Arguments),
    Show(show::Arguments),
    Replay(replay::Arguments),
    Drop(drop::Arguments),
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.verb {
        Verb::List(arguments) => list::execute(arguments).await,
        Verb::Show(arguments) => show::execute(arguments).await,
        Verb::Replay(arguments) => replay::execute(arguments).await,
        Verb::Drop(arguments) => drop::execute(arguments).await,
    }
}

/// What each of these commands works with.
#[derive(Debug)]
struct Desk {
    client: Client,
    names: Names,
    /// When the command began.
    now: Timestamp,
}

impl Desk {
    async fn open(common: Common) -> anyhow::Result<Self> {
        let settings = BrokerOnly::from_process(&common.into())?.broker;
        Ok(Self {
            client: Client::connect(&settings, "dead").await?,
            names: settings.names,
            now: Clock::start().now().wall,
        })
    }

    /// Reads the dead queue from its beginning. From now on a signal ends the walk instead of the process.
    async fn walk<'d>(&'d self, choice: &'d Choice) -> anyhow::Result<Walk<'d>> {
        let signals = Some(Signals::heed()?);
        let letters = self.client.letters(&self.names).await?;
        Walk::begin(letters, self, choice, signals)
    }

    /// The same, to look and then ask: a question has to be left by a signal, too.
    async fn look<'d>(&'d self, choice: &'d Choice) -> anyhow::Result<Walk<'d>> {
        let letters = self.client.letters(&self.names).await?;
        Walk::begin(letters, self, choice, None)
    }
}

/// What a letter's status means to its reader.
fn tone(status: Option<&str>) -> Tone {
    if status == Some(Status::Failed.as_str()) {
        Tone::Bad
    } else {
        Tone::Doubtful
    }
}

/// `1 letter`, `2 letters`.
fn letters(count: u64) -> String {
    counted(count, "letter")
}

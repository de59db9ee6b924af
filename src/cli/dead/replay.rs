//! `clockout dead replay`: dead letters become jobs again (CONTRACT §6).

use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroU32;

use anyhow::Context as _;
use clap::Args;
use clockout::broker::client::{Changes, Letter};
use clockout::engine::job::Timestamp;
use clockout::wire::dead_letter::{Account, Revival, revived};
use clockout::wire::time::Rfc3339;
use serde::Serialize;
use uuid::Uuid;

use super::age::age;
use super::choice::{Choice, Which};
use super::groups::Groups;
use super::walk::Walk;
use super::{Desk, json, letters};
use crate::cli::pace::Pace;
use crate::cli::{Common, Exit, terminal, values};

const EXAMPLES: &str = "\
Examples:
  clockout dead replay shift-2291/570
  clockout dead replay --code exhausted,ambiguous --newer-than 1h --rate 50
  clockout dead replay --text 'extension locked' --failed-only
  clockout dead replay --all --now --yes";

/// Send the jobs of dead letters again.
///
/// Each goes to the jobs exchange as it was, with header clockout-replay counted up, and leaves the dead queue once RabbitMQ
/// has confirmed it. Cut short at any moment, no job is lost; those that were on the way may be sent twice, and the worker
/// does a job that it sees twice once. A replayed job is carried out whatever became of it before, within its `expires_at`,
/// and for all of its agents: also for those that did not fail, unless --failed-only is given.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    wishes: Wishes,
    /// At most so many jobs per second.
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    rate: Option<NonZeroU32>,
    /// Do not ask before many letters are replayed; in a pipe nothing is asked.
    #[arg(long)]
    yes: bool,
    /// Print how many were replayed as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// How the jobs are to differ from what they were.
#[derive(Debug, Clone, Copy, Args)]
struct Wishes {
    /// As if requested now: `requested_at` becomes now and `expires_at` goes, so that `jobs.max_age` counts from now.
    #[arg(long)]
    now: bool,
    /// As new jobs: each gets a new job id, and has its old one as correlation id unless it has one.
    #[arg(long)]
    new_ids: bool,
    /// Only those agents of each job that failed, instead of all.
    #[arg(long)]
    failed_only: bool,
}

/// Serialises as what `clockout dead replay --json` prints.
#[derive(Debug, Default, Serialize)]
struct Replayed {
    replayed: u64,
    /// Of these, how many were to be changed and were not, as they hold no JSON object.
    unchanged: u64,
}

/// Whom a replay reaches besides those that failed and still wait for it.
#[derive(Debug, Default)]
struct Reach {
    /// Agents that did not fail, of jobs for several.
    unfailed: usize,
    oldest: Option<Timestamp>,
}

impl Reach {
    fn add(&mut self, account: &Account) {
        self.unfailed += account.unfailed;
        let at = account.at.map(|Rfc3339(at)| at);
        self.oldest = self.oldest.into_iter().chain(at).min();
    }

    /// To standard error, as far as it is not wished for.
    fn warn(&self, wishes: Wishes, now: Timestamp) -> io::Result<()> {
        let mut out = io::stderr();
        if self.unfailed > 0 && !wishes.failed_only {
            let unfailed = self.unfailed;
            writeln!(
                out,
                "agents of these jobs that did not fail: {unfailed}; without --failed-only they are paused or removed again"
            )?;
        }
        if let Some(oldest) = self.oldest.filter(|_| wishes.now) {
            let age = age(now, oldest);
            writeln!(
                out,
                "with --now all count as requested now, and the oldest of these letters is {age} old: agents who are back on \
                 shift are paused or removed all the same"
            )?;
        }
        Ok(())
    }
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let desk = Desk::open(arguments.common).await?;
    let choice = &arguments.which.choice;
    let asks = !arguments.yes && choice.ids.is_empty() && io::stdin().is_terminal();
    if asks && !agreed(&desk, choice, arguments.wishes).await? {
        writeln!(io::stderr(), "nothing was replayed")?;
        return Ok(Exit::Failed);
    }
    let mut walk = desk.walk(choice).await?;
    let mut replayed = Replayed::default();
    let mut reach = Reach::default();
    let pace = Pace::new(arguments.rate);
    let through = replay(&mut walk, arguments.wishes, pace, &mut replayed, &mut reach).await;
    let ended = walk.end().await;
    if !asks {
        reach.warn(arguments.wishes, desk.now)?;
    }
    through.with_context(|| {
        let (done, queue) = (letters(replayed.replayed), &desk.names.dead_queue);
        format!("{done} replayed, what was not confirmed as a job is still in `{queue}`")
    })?;
    let exit = ended?;
    if arguments.json {
        terminal::print_line(json::line(&replayed)?)?;
    } else {
        let (done, exchange) = (letters(replayed.replayed), &desk.names.jobs_exchange);
        terminal::print_line(format_args!("{done} replayed to `{exchange}`"))?;
        if replayed.unchanged > 0 {
            let unchanged = replayed.unchanged;
            terminal::print_line(format_args!(
                "{unchanged} of them as they were: they hold no JSON object to change"
            ))?;
        }
    }
    Ok(exit)
}

/// Shows what would be replayed and asks, if there is anything. No letter is held meanwhile.
async fn agreed(desk: &Desk, choice: &Choice, wishes: Wishes) -> anyhow::Result<bool> {
    let mut walk = desk.look(choice).await?;
    let mut groups = Groups::default();
    let mut reach = Reach::default();
    let mut count = 0;
    while let Some((letter, account)) = walk.next().await? {
        groups.add(&account);
        reach.add(&account);
        count += 1;
        walk.keep(letter).await?;
    }
    walk.end().await?;
    if count == 0 {
        return Ok(true);
    }
    groups.print(desk.now)?;
    reach.warn(wishes, desk.now)?;
    let mut out = io::stderr();
    write!(out, "replay {}? [y/N] ", letters(count))?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn replay(
    walk: &mut Walk<'_>,
    wishes: Wishes,
    mut pace: Pace,
    replayed: &mut Replayed,
    reach: &mut Reach,
) -> anyhow::Result<()> {
    loop {
        let mut burst = Vec::new();
        while burst.len() < pace.burst()
            && let Some((letter, account)) = walk.next().await?
        {
            let changes = changes(&letter, &account, wishes, walk.now());
            let to_change = wishes.now || wishes.new_ids;
            replayed.unchanged += u64::from(to_change && changes.body.is_none());
            reach.add(&account);
            burst.push((letter, changes));
        }
        if burst.is_empty() {
            return Ok(());
        }
        let sent = u64::try_from(burst.len())?;
        pace.turn().await;
        walk.replay(burst).await?;
        replayed.replayed += sent;
    }
}

fn changes(letter: &Letter, account: &Account, wishes: Wishes, now: Timestamp) -> Changes {
    let message = &letter.message;
    let new_id = wishes.new_ids.then(|| Uuid::new_v4().to_string());
    let revival = Revival {
        now: wishes.now.then_some(now),
        new_id: new_id.as_deref(),
        failed_only: wishes.failed_only,
    };
    let correlation_id = message.correlation_id.as_deref();
    let body = revived(&message.body, account, correlation_id, &revival);
    Changes {
        body: body.map(Into::into),
        message_id: new_id,
        replay: Some(account.replays.saturating_add(1)),
    }
}

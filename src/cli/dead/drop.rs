//! `clockout dead drop`: dead letters that nobody needs any more go.

use std::num::NonZeroU32;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::choice::Which;
use super::groups::Groups;
use super::walk::Walk;
use super::{Desk, json, letters};
use crate::cli::pace::Pace;
use crate::cli::{Common, Exit, terminal, values};

const EXAMPLES: &str = "\
Examples:
  clockout dead drop --code not_member --older-than 7d
  clockout dead drop --code not_member --older-than 7d --yes
  clockout dead drop shift-2291/570 --yes";

/// Drop dead letters for good. Without --yes it only shows which.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    /// Drop them: there is no way back.
    #[arg(long)]
    yes: bool,
    /// At most so many letters per second.
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    rate: Option<NonZeroU32>,
    /// Means nothing here: `replay` and `drop` take the same flags.
    #[arg(long, hide = true)]
    now: bool,
    /// Print how many there are and how many were dropped as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// Serialises as what `clockout dead drop --json` prints.
#[derive(Debug, Default, Serialize)]
struct Count {
    letters: u64,
    dropped: u64,
    dry_run: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let desk = Desk::open(arguments.common).await?;
    let mut walk = desk.walk(&arguments.which.choice).await?;
    let mut groups = Groups::default();
    let mut count = Count {
        dry_run: !arguments.yes,
        ..Count::default()
    };
    let through = if arguments.yes {
        take(&mut walk, Pace::new(arguments.rate), &mut count).await
    } else {
        look(&mut walk, &mut groups, &mut count).await
    };
    let ended = walk.end().await;
    through.with_context(|| format!("{} dropped", letters(count.dropped)))?;
    let exit = ended?;
    if arguments.json {
        terminal::print_line(json::line(&count)?)?;
    } else if arguments.yes {
        terminal::print_line(format_args!("{} dropped", letters(count.dropped)))?;
    } else {
        if count.letters > 0 {
            groups.print(desk.now)?;
        }
        let would = letters(count.letters);
        terminal::print_line(format_args!("{would} would be dropped with --yes"))?;
    }
    Ok(exit)
}

async fn take(walk: &mut Walk<'_>, mut pace: Pace, count: &mut Count) -> anyhow::Result<()> {
    loop {
        let mut burst = Vec::new();
        while burst.len() < pace.burst()
            && let Some((letter, _)) = walk.next().await?
        {
            burst.push(letter);
        }
        if burst.is_empty() {
            return Ok(());
        }
        let taken = u64::try_from(burst.len())?;
        pace.turn().await;
        walk.take(burst).await?;
        count.letters += taken;
        count.dropped += taken;
    }
}

async fn look(walk: &mut Walk<'_>, groups: &mut Groups, count: &mut Count) -> anyhow::Result<()> {
    while let Some((letter, account)) = walk.next().await? {
        groups.add(&account);
        count.letters += 1;
        walk.keep(letter).await?;
    }
    Ok(())
}

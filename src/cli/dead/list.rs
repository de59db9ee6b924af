//! `clockout dead list`: what failed, in groups and letter by letter.

use std::io::{self, Write as _};

use clap::Args;
use clockout::engine::job::Timestamp;
use clockout::wire::dead_letter::Account;
use clockout::wire::excerpt::excerpt;
use clockout::wire::time::Rfc3339;

use super::age::age;
use super::choice::Choice;
use super::groups::Groups;
use super::walk::Walk;
use super::{Desk, json, letters, tone};
use crate::cli::terminal::{self, Cell, Reader, Table};
use crate::cli::{Common, Exit};

const EXAMPLES: &str = "\
Examples:
  clockout dead list
  clockout dead list --groups
  clockout dead list --code exhausted --queue 10000 --newer-than 1h --limit 1000
  clockout dead list --action remove --json";

/// Letters that a table shows unless it is told otherwise.
const LIMIT: u64 = 50;

/// Longest start of a PBX's text in a row.
const TEXT_CHARS_MAX: usize = 80;

/// Most agents named in a row.
const AGENTS_MAX: usize = 5;

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// List dead letters: gathered by code and text, then one by one, the oldest first.
///
/// Reading takes nothing away and changes no order. What is not known of a letter is shown as -.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    choice: Choice,
    /// Only the groups.
    #[arg(long)]
    groups: bool,
    /// Show at most so many letters one by one: 50, or with --json all.
    #[arg(long, value_name = "N", conflicts_with = "groups")]
    limit: Option<u64>,
    /// Print each letter, or with --groups each group, as a line of JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let desk = Desk::open(arguments.common).await?;
    let mut walk = desk.walk(&arguments.choice).await?;
    if arguments.json && !arguments.groups {
        print_json(&mut walk, arguments.limit.unwrap_or(u64::MAX)).await?;
        return walk.end().await;
    }
    let rows_max = match arguments.limit {
        _ if arguments.groups => 0,
        Some(limit) => limit,
        None => LIMIT,
    };
    let mut listing = Listing::new(rows_max);
    while let Some((letter, account)) = walk.next().await? {
        listing.add(&account, desk.now);
        walk.keep(letter).await?;
    }
    let all = walk.all();
    let exit = walk.end().await?;
    if arguments.json {
        for group in listing.groups.sorted() {
            terminal::print_line(json::line(group)?)?;
        }
    } else {
        listing.print(desk.now)?;
        let queue = &desk.names.dead_queue;
        writeln!(io::stderr(), "{}", listing.summary(queue, all))?;
    }
    Ok(exit)
}

async fn print_json(walk: &mut Walk<'_>, limit: u64) -> anyhow::Result<()> {
    for _ in 0..limit {
        let Some((letter, account)) = walk.next().await? else {
            break;
        };
        walk.keep(letter).await?;
        if terminal::print_line(json::line(&account)?)? == Reader::Gone {
            break;
        }
    }
    Ok(())
}

/// The letters that are chosen, for people.
struct Listing {
    groups: Groups,
    rows: Table<9>,
    rows_max: u64,
    letters: u64,
}

impl Listing {
    fn new(rows_max: u64) -> Self {
        let header = [
            "age", "code", "action", "queue", "agents", "attempts", "replays", "job", "text",
        ];
        Self {
            groups: Groups::default(),
            rows: Table::new(header),
            rows_max,
            letters: 0,
        }
    }

    fn add(&mut self, account: &Account, now: Timestamp) {
        self.groups.add(account);
        if self.letters < self.rows_max {
            self.rows.add(row(account, now));
        }
        self.letters += 1;
    }

    fn print(&self, now: Timestamp) -> io::Result<()> {
        if self.letters > 0 {
            self.groups.print(now)?;
        }
        if !self.rows.is_empty() {
            terminal::print_line("")?;
            self.rows.print()?;
        }
        Ok(())
    }

    fn summary(&self, queue: &str, all: u64) -> String {
        let of_all = letters(all);
        match self.letters {
            0 if all == 0 => format!("no letters in `{queue}`"),
            0 => format!("none of {of_all} in `{queue}`"),
            chosen if chosen > self.rows_max && !self.rows.is_empty() => {
                let shown = self.rows_max;
                format!(
                    "{chosen} of {of_all} in `{queue}`, the oldest {shown} one by one; --limit N shows more"
                )
            }
            chosen => format!("{chosen} of {of_all} in `{queue}`"),
        }
    }
}

fn row(account: &Account, now: Timestamp) -> [Cell; 9] {
    let known = |text: Option<&str>| Cell::text(text.unwrap_or(UNKNOWN));
    let since = account.at.map(|Rfc3339(at)| age(now, at));
    let text = account.message.as_deref();
    let text = text.map(|text| excerpt(text, TEXT_CHARS_MAX));
    let job = account.job_id.as_deref().unwrap_or(&account.letter);
    let attempts = account.attempts.map(|attempts| attempts.to_string());
    [
        Cell::number(since.as_deref().unwrap_or(UNKNOWN)),
        known(account.code.as_deref()).toned(tone(account.status.as_deref())),
        known(account.action),
        known(account.queue.as_deref()),
        Cell::text(&agents(&account.agents)),
        Cell::number(attempts.as_deref().unwrap_or(UNKNOWN)),
        Cell::number(account.replays),
        Cell::text(job),
        known(text.as_deref()),
    ]
}

/// The first of them, and how many more there are.
fn agents(agents: &[String]) -> String {
    let named = agents.iter().take(AGENTS_MAX);
    let named: Vec<&str> = named.map(String::as_str).collect();
    match agents.len().saturating_sub(AGENTS_MAX) {
        0 if named.is_empty() => UNKNOWN.to_owned(),
        0 => named.join(" "),
        more => format!("{} and {more} more", named.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_agents_the_first_are_named() {
        let numbered = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(agents(&[]), "-");
        assert_eq!(agents(&numbered(5)), "1 2 3 4 5");
        assert_eq!(agents(&numbered(12)), "1 2 3 4 5 and 7 more");
    }
}

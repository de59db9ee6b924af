//! `clockout dead show`: one letter, whole.

use std::fmt::Display;
use std::str::Utf8Chunk;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use clockout::broker::client::Letter;
use clockout::engine::job::Timestamp;
use clockout::wire::dead_letter::Account;
use serde::Serialize;
use serde_json::{Map, Value};

use super::age::age;
use super::choice::Choice;
use super::{Desk, json};
use crate::cli::terminal::{self, Tone, painted, printable};
use crate::cli::{Common, Exit};

const EXAMPLES: &str = "\
Examples:
  clockout dead show shift-2291/570
  clockout dead show @9c41d0a7be52
  clockout dead show shift-2291/570 --json";

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// Show one dead letter whole: why it is one, properties, headers and body.
///
/// Of several letters of the same job the oldest; --json of `list` names each of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The job's id, or the letter's own name (@…), as `list --json` tells it.
    #[arg(value_name = "JOB_ID")]
    id: String,
    /// Print it as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// Serialises as what `clockout dead show --json` prints.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    account: Account,
    routing_key: String,
    properties: Map<String, Value>,
    headers: Map<String, Value>,
    /// `None`: it is no text, and stands in `body_base64`.
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let desk = Desk::open(arguments.common).await?;
    let choice = Choice::of_one(arguments.id);
    let mut walk = desk.walk(&choice).await?;
    if let Some((letter, account)) = walk.next().await? {
        let shown = if arguments.json {
            json::line(&whole(&letter, account))? + "\n"
        } else {
            text(&letter, &account, desk.now)
        };
        terminal::print(&shown)?;
        walk.keep(letter).await?;
    }
    walk.end().await
}

fn whole(letter: &Letter, account: Account) -> Whole {
    let body = &letter.message.body;
    let text = std::str::from_utf8(body).ok();
    Whole {
        account,
        routing_key: letter.routing_key().to_owned(),
        properties: letter.properties(),
        headers: letter.headers(),
        body: text.map(str::to_owned),
        body_base64: text.is_none().then(|| BASE64_STANDARD.encode(body)),
    }
}

fn text(letter: &Letter, account: &Account, now: Timestamp) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let attempts = account.attempts.map(|attempts| attempts.to_string());
    let at = account.at.map(|at| format!("{at}, {} ago", age(now, at.0)));
    let facts = [
        ("letter", account.letter.clone()),
        ("job", known(&account.job_id)),
        ("action", account.action.unwrap_or(UNKNOWN).to_owned()),
        ("queue", known(&account.queue)),
        ("agents", account.agents.join(" ")),
        ("status", known(&account.status)),
        ("code", known(&account.code)),
        ("text", known(&account.message)),
        ("attempts", known(&attempts)),
        ("replays", account.replays.to_string()),
        ("at", known(&at)),
        ("routing key", letter.routing_key().to_owned()),
    ];
    let facts = facts.map(|(name, value)| {
        format!(
            "{}  {}",
            title(format_args!("{name:<11}")),
            printable(&value)
        )
    });
    let mut lines = Vec::from(facts);
    for (name, fields) in [
        ("properties", letter.properties()),
        ("headers", letter.headers()),
    ] {
        lines.extend([String::new(), title(name)]);
        lines.extend(fields.iter().map(|(name, value)| field(name, value)));
    }
    let body = &letter.message.body;
    let size = title(format_args!("body, {} bytes", body.len()));
    lines.extend([String::new(), size, readable(body)]);
    lines.join("\n") + "\n"
}

fn title(text: impl Display) -> String {
    painted(text, Tone::Faint)
}

fn field(name: &str, value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    let text = text.unwrap_or_else(|| value.to_string());
    format!("  {}: {}", printable(name), printable(&text))
}

/// All of it; what a terminal would obey, and what is no text, is escaped. Lines stay lines.
fn readable(body: &[u8]) -> String {
    let lines = |chunk: &Utf8Chunk<'_>| {
        let lines: Vec<String> = chunk.valid().split('\n').map(printable).collect();
        lines.join("\n") + &chunk.invalid().escape_ascii().to_string()
    };
    body.utf8_chunks().map(|chunk| lines(&chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_whole_and_cannot_play_with_the_terminal() {
        let body = b"{\n \"a\": \"\x1b[2J\xc2\x9b\",\xff\xfe}";
        assert_eq!(
            readable(body),
            "{\n \"a\": \"\\u{1b}[2J\\u{9b}\",\\xff\\xfe}"
        );
        assert_eq!(readable(b""), "");
    }
}

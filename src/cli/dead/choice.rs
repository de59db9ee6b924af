//! Which letters a command is about.

use std::time::Duration;

use clap::{ArgGroup, Args};
use clockout::engine::job::{Action, Timestamp};
use clockout::engine::outcome::Status;
use clockout::wire::dead_letter::Account;

use crate::cli::values;

/// Stands for a code that a letter does not have.
const NO_CODE: &str = "_";

/// Every filter that is given has to let a letter pass; of a filter with several values, given several times or with commas,
/// one has to.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Choice {
    /// Only letters of these jobs; or single letters by their own name (@…), as `show` and `list --json` tell it.
    #[arg(value_name = "JOB_ID")]
    pub(super) ids: Vec<String>,
    /// Only letters with this code, such as exhausted or `not_member`; _ for those that have none.
    #[arg(long, value_name = "C", value_delimiter = ',')]
    code: Vec<String>,
    /// Only letters with this status.
    #[arg(long, value_delimiter = ',', value_parser = values::status())]
    status: Vec<Status>,
    /// Only letters whose text, mostly the PBX's, contains this; case does not matter.
    #[arg(long)]
    text: Option<String>,
    /// Only letters of jobs for this PBX queue.
    #[arg(long, value_delimiter = ',')]
    queue: Vec<String>,
    /// Only letters of jobs with this action.
    #[arg(long, value_parser = values::action())]
    action: Option<Action>,
    /// Only letters that are older than this, such as 90s, 15m or 7d.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    older_than: Option<Duration>,
    /// Only letters that are not older than this.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    newer_than: Option<Duration>,
}

/// Which letters a command is about that changes something: it has to be said.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("which").args(WAYS).required(true).multiple(true))]
pub(super) struct Which {
    #[command(flatten)]
    pub(super) choice: Choice,
    /// All letters; with filters, all that they let pass.
    #[arg(long)]
    all: bool,
}

/// Every way to say it.
const WAYS: [&str; 9] = [
    "ids",
    "all",
    "code",
    "status",
    "text",
    "queue",
    "action",
    "older_than",
    "newer_than",
];

impl Choice {
    pub(super) fn of_one(id: String) -> Self {
        Self {
            ids: vec![id],
            ..Self::default()
        }
    }

    pub(super) fn fits(&self, account: &Account, now: Timestamp) -> bool {
        let is_one_of = |list: &[String], value: Option<&str>, none| {
            list.is_empty() || list.iter().any(|one| one == value.unwrap_or(none))
        };
        let Account { queue, code, .. } = account;
        let status = |status: &Status| account.status.as_deref() == Some(status.as_str());
        let action = self.action.map(Action::as_str);
        (self.ids.is_empty() || self.ids.iter().any(|id| names(id, account)))
            && is_one_of(&self.code, code.as_deref(), NO_CODE)
            && is_one_of(&self.queue, queue.as_deref(), "")
            && (self.status.is_empty() || self.status.iter().any(status))
            && (action.is_none() || action == account.action)
            && self.fits_text(account)
            && self.fits_age(account, now)
    }

    fn fits_text(&self, account: &Account) -> bool {
        let Some(wanted) = &self.text else {
            return true;
        };
        let text = account.message.as_deref().unwrap_or_default();
        text.to_lowercase().contains(&wanted.to_lowercase())
    }

    /// A letter of unknown age is neither old nor new.
    fn fits_age(&self, account: &Account, now: Timestamp) -> bool {
        let age = account.at.map(|at| now.0.saturating_sub(at.0.0));
        let than = |limit: Duration| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let is_old = |limit| age.is_some_and(|age| age > than(limit));
        let is_new = |limit| age.is_some_and(|age| age <= than(limit));
        self.older_than.is_none_or(is_old) && self.newer_than.is_none_or(is_new)
    }
}

/// Whether `id` is the job's id or the letter's own name.
pub(super) fn names(id: &str, account: &Account) -> bool {
    account.job_id.as_deref() == Some(id) || account.letter == id
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clockout::wire::Incoming;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        choice: Choice,
    }

    /// Died an hour ago.
    fn letter() -> Account {
        let body = r#"{"job_id":"j","action":"pause","queue":"7","agent":"570"}"#;
        let message = Incoming::bare(body);
        let headers = json!({
            "clockout-status": "failed",
            "clockout-code": "rejected",
            "clockout-message": "Agent is Locked",
            "clockout-at": "2026-11-21T18:10:00Z",
        });
        Account::of(&message, "7", headers.as_object().unwrap())
    }

    const NOW: Timestamp = Timestamp(1_795_288_200_000);

    fn check(words: &[&str], expected: bool) {
        let line = Line::parse_from([&["choose"], words].concat());
        assert_eq!(line.choice.fits(&letter(), NOW), expected, "{words:?}");
    }

    #[test]
    fn every_filter_has_to_let_a_letter_pass() {
        for words in [
            &[][..],
            &["j"],
            &["x", "j"],
            &[letter().letter.as_str()],
            &["--code", "exhausted,rejected"],
            &["--status", "unknown,failed"],
            &["--text", "is locked"],
            &["--queue", "7", "--action", "pause"],
            &["--older-than", "59m", "--newer-than", "1h"],
        ] {
            check(words, true);
        }
        for words in [
            &["x"][..],
            &["--code", "_"],
            &["--status", "invalid"],
            &["--text", "busy"],
            &["--queue", "77"],
            &["--action", "remove"],
            &["--older-than", "1h"],
            &["--newer-than", "59m"],
            &["j", "--code", "exhausted"],
        ] {
            check(words, false);
        }
    }
}

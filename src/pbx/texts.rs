//! The words of a PBX: which of its failure texts mean what (`[pbx.texts]`).
//!
//! A table and not code, because the vendor publishes no failure texts: an operator who meets another wording adds it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::engine::verdict::Answer;
use crate::unprintable::is_unprintable;

/// Case-insensitive patterns per meaning; none of them is empty (CONTRACT §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The agent is not on that queue.
    pub absent: Vec<String>,
    pub no_such_queue: Vec<String>,
    /// The agent is a fixed member, which only the PBX's own configuration can change.
    pub not_dynamic: Vec<String>,
    /// Worth another try.
    pub retry: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let list = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        Self {
            absent: list(&["not there", "not in queue", "not found", "not a member"]),
            no_such_queue: list(&["no such queue"]),
            not_dynamic: list(&["not dynamic"]),
            retry: list(&["operation failed", "try again", "timeout", "busy"]),
        }
    }
}

/// The table, ready to be asked.
#[derive(Debug, Clone)]
pub struct Texts {
    absent: Vec<Pattern>,
    no_such_queue: Vec<Pattern>,
    not_dynamic: Vec<Pattern>,
    retry: Vec<Pattern>,
    hidden: Arc<[SecretString]>,
}

/// Stands for a secret that the PBX has repeated.
const HIDDEN: &str = "[hidden]";

const HIDDEN_BYTES_MIN: usize = 4;

impl Texts {
    pub fn new(settings: &Settings) -> Self {
        let patterns =
            |list: &[String]| list.iter().filter_map(|text| Pattern::new(text)).collect();
        Self {
            absent: patterns(&settings.absent),
            no_such_queue: patterns(&settings.no_such_queue),
            not_dynamic: patterns(&settings.not_dynamic),
            retry: patterns(&settings.retry),
            hidden: Arc::default(),
        }
    }

    /// Passes none of these on, whatever text they are in; but what is shorter than 4 bytes is in any text.
    #[must_use]
    pub fn hiding(self, secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let length = |secret: &SecretString| secret.expose_secret().len();
        let mut secrets = Vec::from_iter(secrets);
        secrets.retain(|secret| length(secret) >= HIDDEN_BYTES_MIN);
        // Of one that is a part of another nothing is left to show.
        secrets.sort_by_key(|secret| Reverse(length(secret)));
        let hidden = secrets.into();
        Self { hidden, ..self }
    }

    /// Another table, which hides the same.
    pub fn change(&mut self, settings: &Settings) {
        let hidden = Arc::clone(&self.hidden);
        *self = Self {
            hidden,
            ..Self::new(settings)
        };
    }

    /// A text of the PBX fit for outcomes and logs: one line, nothing unprintable, no secret, bounded. `None` if nothing is left.
    pub(super) fn legible(&self, text: &str) -> Option<Arc<str>> {
        let mut text = Cow::Borrowed(text);
        for secret in self.hidden.iter().map(ExposeSecret::expose_secret) {
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN).into();
            }
        }
        legible(&text)
    }

    /// What an item means whose `ok` is not true and whose text is `text`.
    pub fn meaning(&self, text: &str) -> Answer {
        let text = text.to_lowercase();
        let table = [
            (&self.absent, Answer::Absent),
            (&self.no_such_queue, Answer::NoSuchQueue),
            (&self.not_dynamic, Answer::NotDynamic),
            (&self.retry, Answer::Busy),
        ];
        table
            .into_iter()
            .find(|(patterns, _)| patterns.iter().any(|pattern| pattern.matches(&text)))
            .map_or(Answer::Refused, |(_, answer)| answer)
    }

    /// Whether a refusal of the whole batch with this text is worth another try as it is.
    pub fn asks_for_retry(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.retry.iter().any(|pattern| pattern.matches(&text))
    }
}

/// Found anywhere in a text, in any case; `*` stands for any characters, none included.
#[derive(Debug, Clone)]
struct Pattern {
    /// Lower case, to be found one behind the other.
    parts: Vec<String>,
}

impl Pattern {
    /// `None` for an empty pattern: it would match every text, which only `*` may ask for.
    fn new(text: &str) -> Option<Self> {
        let parts = text.to_lowercase().split('*').map(str::to_owned).collect();
        (!text.is_empty()).then_some(Self { parts })
    }

    /// `text` is in lower case.
    fn matches(&self, text: &str) -> bool {
        let mut rest = Some(text);
        for part in &self.parts {
            rest = rest
                .and_then(|rest| rest.split_once(part.as_str()))
                .map(|(_, after)| after);
        }
        rest.is_some()
    }
}

/// Longest text of the PBX that is passed on, in characters.
const LEGIBLE_CHARS_MAX: usize = 500;

/// A foreign text fit for outcomes and logs: one line, nothing unprintable, bounded. `None` if nothing is left.
pub(super) fn legible(text: &str) -> Option<Arc<str>> {
    let mut words = text.split(|c: char| is_unprintable(c) || c.is_whitespace());
    let mut line = String::new();
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > LEGIBLE_CHARS_MAX {
            line = line.chars().take(LEGIBLE_CHARS_MAX - 1).collect();
            line.push('…');
            break;
        }
    }
    (!line.is_empty()).then(|| line.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Texts {
        Texts::new(&Settings::default())
    }

    #[test]
    fn each_default_text_has_its_meaning_in_any_case() {
        let texts = defaults();
        for (text, meaning) in [
            ("Unable to remove interface: Not there", Answer::Absent),
            ("AGENT NOT IN QUEUE", Answer::Absent),
            ("Interface not found", Answer::Absent),
            ("is not a member of 10000", Answer::Absent),
            (
                "Unable to remove interface from queue '1': No such queue",
                Answer::NoSuchQueue,
            ),
            ("Member not dynamic", Answer::NotDynamic),
            ("Requested operation failed", Answer::Busy),
            ("please try again later", Answer::Busy),
            ("Timeout", Answer::Busy),
            ("Backend is busy", Answer::Busy),
            ("Field 'agent':value is missing", Answer::Refused),
            ("", Answer::Refused),
        ] {
            assert_eq!(texts.meaning(text), meaning, "{text}");
        }
    }

    #[test]
    fn a_secret_that_the_pbx_repeats_is_hidden_also_where_the_table_has_changed() {
        let secrets = ["hush", "hush-hush", "is", ""].map(SecretString::from);
        let mut texts = defaults().hiding(secrets);
        for _ in 0..2 {
            let said = texts.legible("ApiKey hush is not hush-hush");
            let shown = "ApiKey [hidden] is not [hidden]";
            assert_eq!(said.as_deref(), Some(shown));
            texts.change(&Settings::default());
        }
    }

    #[test]
    fn a_text_in_two_lists_means_the_first() {
        assert_eq!(
            defaults().meaning("no such queue, or not found"),
            Answer::Absent
        );
    }

    #[test]
    fn a_star_stands_for_anything_and_an_empty_pattern_for_nothing() {
        let texts = Texts::new(&Settings {
            absent: vec![String::new(), "agent*gone".to_owned()],
            no_such_queue: vec!["صف*نیست".to_owned()],
            not_dynamic: Vec::new(),
            retry: vec!["*".to_owned()],
        });
        assert_eq!(texts.meaning("The Agent 570 is GONE."), Answer::Absent);
        assert_eq!(texts.meaning("صف ۱۰۰۰۰ موجود نیست"), Answer::NoSuchQueue);
        assert_eq!(texts.meaning("gone is the agent"), Answer::Busy);
        assert!(texts.asks_for_retry("whatever"));
    }

    #[test]
    fn only_the_retry_list_asks_for_another_try_of_a_batch() {
        assert!(defaults().asks_for_retry("Requested Operation Failed"));
        assert!(!defaults().asks_for_retry("not found"));
    }

    #[test]
    fn a_foreign_text_becomes_one_bounded_line() {
        assert_eq!(
            legible(" a\r\n\tb\u{1b}[31m c\0 ").as_deref(),
            Some("a b [31m c")
        );
        assert_eq!(legible(" \r\n"), None);
        let long = legible(&"ی".repeat(100_000)).unwrap();
        assert_eq!(long.chars().count(), LEGIBLE_CHARS_MAX);
        assert!(long.ends_with('…'));
    }
}

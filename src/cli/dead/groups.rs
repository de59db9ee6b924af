//! Letters gathered by what went wrong: by code and text.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use clockout::engine::job::Timestamp;
use clockout::wire::dead_letter::Account;
use clockout::wire::excerpt::excerpt;
use clockout::wire::time::Rfc3339;
use serde::Serialize;

use super::age::age;
use super::tone;
use crate::cli::terminal::{Cell, Table};

/// Most groups that are told apart; a PBX may make every text a new one.
const GROUPS_MAX: usize = 1_000;

/// Longest start of a text by which letters are told apart.
const TEXT_CHARS_MAX: usize = 200;

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// Letters that failed alike; serialises as what `clockout dead list --groups --json` prints of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Group {
    letters: u64,
    status: Option<String>,
    code: Option<String>,
    message: Option<String>,
    oldest: Option<Rfc3339>,
    newest: Option<Rfc3339>,
}

type Key = (Option<String>, Option<String>, Option<String>);

#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Key, Group>,
    /// Letters of groups beyond the most: neither code nor text is theirs alone.
    others: Group,
}

impl Groups {
    pub(super) fn add(&mut self, account: &Account) {
        let message = account.message.as_deref();
        let message = message.map(|text| excerpt(text, TEXT_CHARS_MAX));
        let key = (account.status.clone(), account.code.clone(), message);
        let room = self.groups.len() < GROUPS_MAX;
        match self.groups.entry(key) {
            Entry::Occupied(mut group) => group.get_mut().add(account.at),
            Entry::Vacant(place) if room => {
                let (status, code, message) = place.key().clone();
                let group = Group {
                    status,
                    code,
                    message,
                    ..Group::default()
                };
                place.insert(group).add(account.at);
            }
            Entry::Vacant(_) => self.others.add(account.at),
        }
    }

    /// The largest first. If there are too many, the last one is all others.
    pub(super) fn sorted(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        let order = |group: &&Group| {
            let text = (group.code.clone(), group.message.clone());
            (Reverse(group.letters), text)
        };
        groups.sort_by_cached_key(order);
        groups.extend(Some(&self.others).filter(|others| others.letters > 0));
        groups
    }

    pub(super) fn print(&self, now: Timestamp) -> io::Result<()> {
        let mut table = Table::new(["letters", "status", "code", "text", "oldest", "newest"]);
        for group in self.sorted() {
            let known = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or(UNKNOWN));
            let since = |at: Option<Rfc3339>| match at {
                Some(Rfc3339(at)) => Cell::number(age(now, at)),
                None => Cell::number(UNKNOWN),
            };
            table.add([
                Cell::number(group.letters),
                known(&group.status),
                known(&group.code).toned(tone(group.status.as_deref())),
                known(&group.message),
                since(group.oldest),
                since(group.newest),
            ]);
        }
        table.print()
    }
}

impl Group {
    fn add(&mut self, at: Option<Rfc3339>) {
        self.letters += 1;
        let ms = |Rfc3339(at): &Rfc3339| at.0;
        self.oldest = self.oldest.into_iter().chain(at).min_by_key(ms);
        self.newest = self.newest.into_iter().chain(at).max_by_key(ms);
    }
}

#[cfg(test)]
mod tests {
    use clockout::wire::Incoming;
    use serde_json::json;

    use super::*;

    fn letter(code: &str, text: &str, at: &str) -> Account {
        let message = Incoming::bare("{}");
        let headers = json!({"clockout-code": code, "clockout-message": text, "clockout-at": at});
        Account::of(&message, "7", headers.as_object().unwrap())
    }

    #[test]
    fn letters_of_one_code_and_text_are_a_group_and_the_largest_comes_first() {
        let mut groups = Groups::default();
        for (code, text, at) in [
            ("rejected", "odd", "2026-11-21T18:10:00Z"),
            ("exhausted", "busy", "2026-11-21T18:12:00Z"),
            ("exhausted", "busy", "2026-11-21T18:11:00Z"),
            ("exhausted", "timeout", "2026-11-21T18:13:00Z"),
        ] {
            groups.add(&letter(code, text, at));
        }
        let sorted = serde_json::to_value(groups.sorted()).unwrap();
        assert_eq!(
            sorted[0],
            json!({
                "letters": 2,
                "status": null,
                "code": "exhausted",
                "message": "busy",
                "oldest": "2026-11-21T18:11:00.000Z",
                "newest": "2026-11-21T18:12:00.000Z",
            })
        );
        let codes = sorted.as_array().unwrap();
        let codes: Vec<_> = codes.iter().map(|group| &group["code"]).collect();
        assert_eq!(codes, ["exhausted", "exhausted", "rejected"]);
    }

    #[test]
    fn however_many_texts_there_are_memory_is_bounded_and_no_letter_goes_uncounted() {
        let mut groups = Groups::default();
        for number in 0..GROUPS_MAX + 5 {
            groups.add(&letter("rejected", &number.to_string(), ""));
        }
        let sorted = groups.sorted();
        assert_eq!(sorted.len(), GROUPS_MAX + 1);
        assert_eq!(sorted[GROUPS_MAX].letters, 5);
    }
}

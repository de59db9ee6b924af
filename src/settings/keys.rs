//! The keys there are, read off the defaults, so that no second list of them can drift.

use std::collections::BTreeMap;

use serde_json::Value;

use super::duration;
use super::raw::Raw;

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text too; told from others by its default.
    Duration,
    Whole,
    Number,
    Switch,
    /// Of texts.
    List,
}

impl Kind {
    /// The kind in words, as expected of a value.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Duration => duration::FORM,
            Self::Whole => "a whole number",
            Self::Number => "a finite number",
            Self::Switch => "true or false",
            Self::List => "a list of texts",
        }
    }

    /// The kind of a default. A value that is absent by default is always a text.
    fn of(default: &Value) -> Option<Self> {
        match default {
            Value::String(text) if duration::parse(text).is_some() => Some(Self::Duration),
            Value::Null | Value::String(_) => Some(Self::Text),
            Value::Bool(_) => Some(Self::Switch),
            Value::Number(number) if number.is_i64() => Some(Self::Whole),
            Value::Number(_) => Some(Self::Number),
            Value::Array(_) => Some(Self::List),
            Value::Object(_) => None,
        }
    }
}

/// Prefix of every environment variable that is a setting.
pub(super) const PREFIX: &str = "CLOCKOUT_";

/// The ways to say where RabbitMQ is, of which one counts.
const ADDRESSES: [&str; 4] = ["amqp.url", "amqp.url_file", "amqp.urls", "amqp.urls_file"];

/// All keys with their kinds, dotted: `pbx.texts.retry`.
#[derive(Debug)]
pub(super) struct Keys(BTreeMap<String, Kind>);

/// Most of a key that is compared with others: no known one is longer, and the effort grows with its length.
const COMPARED_CHARS_MAX: usize = 64;

impl Keys {
    /// The keys of a tree of defaults.
    pub(super) fn of(defaults: &Value) -> Self {
        let mut keys = BTreeMap::new();
        collect(defaults, "", &mut keys);
        Self(keys)
    }

    pub(super) fn known() -> Self {
        Self::of(&serde_json::to_value(Raw::default()).unwrap_or_default())
    }

    /// All keys, in the order of the alphabet.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a key takes a secret itself; those can be given in a file, too.
    pub(super) fn is_secret(&self, key: &str) -> bool {
        !key.ends_with("_file") && !self.rivals(key).is_empty()
    }

    pub(super) fn kind(&self, key: &str) -> Option<Kind> {
        self.0.get(key).copied()
    }

    pub(super) fn is_section(&self, path: &str) -> bool {
        let starts = |key: &String| {
            key.strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.0.keys().any(starts)
    }

    /// The other ways to give the same: `pbx.api_key_file` for `pbx.api_key`, and each of [`ADDRESSES`] for the others.
    pub(super) fn rivals(&self, key: &str) -> Vec<String> {
        if ADDRESSES.contains(&key) {
            let others = ADDRESSES.into_iter().filter(|other| *other != key);
            return others.map(str::to_owned).collect();
        }
        let twin = match key.strip_suffix("_file") {
            Some(inline) => inline.to_owned(),
            None => format!("{key}_file"),
        };
        Some(twin)
            .filter(|twin| self.0.contains_key(twin))
            .into_iter()
            .collect()
    }

    /// The key that this environment variable sets.
    pub(super) fn of_variable(&self, name: &str) -> Option<(&str, Kind)> {
        let (key, kind) = self.0.iter().find(|(key, _)| variable(key) == name)?;
        Some((key, *kind))
    }

    /// The known key that is written most like this one, or like its start.
    pub(super) fn nearest(&self, key: &str) -> &str {
        let start: String = key.chars().take(COMPARED_CHARS_MAX).collect();
        let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, &start);
        let keys = self.0.keys().map(|known| (likeness(known), known.as_str()));
        let nearest = keys.max_by(|(one, _), (other, _)| one.total_cmp(other));
        nearest.map_or("", |(_, known)| known)
    }
}

fn collect(tree: &Value, path: &str, keys: &mut BTreeMap<String, Kind>) {
    for (name, value) in tree.as_object().into_iter().flatten() {
        let key = join(path, name);
        match Kind::of(value) {
            Some(kind) => {
                keys.insert(key, kind);
            }
            None => collect(value, &key, keys),
        }
    }
}

/// Puts a name under a section; the empty path is the root.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The value of a key in a tree of settings.
pub(super) fn value<'t>(tree: &'t Value, key: &str) -> &'t Value {
    key.split('.').fold(tree, |under, name| &under[name])
}

/// The environment variable of a key: `pbx.texts.retry` is `CLOCKOUT_PBX_TEXTS_RETRY`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_keys_share_a_variable() {
        let keys = Keys::known();
        let variables: BTreeSet<_> = keys.0.keys().map(|key| variable(key)).collect();
        assert_eq!(variables.len(), keys.0.len());
        assert!(keys.0.len() > 40);
    }

    #[test]
    fn only_secrets_can_be_given_in_several_ways() {
        let keys = Keys::known();
        let secrets: Vec<_> = keys
            .0
            .keys()
            .filter(|key| !keys.rivals(key).is_empty())
            .collect();
        assert_eq!(
            secrets,
            [
                "amqp.url",
                "amqp.url_file",
                "amqp.urls",
                "amqp.urls_file",
                "http.actions_token",
                "http.actions_token_file",
                "pbx.api_key",
                "pbx.api_key_file",
                "pbx.password",
                "pbx.password_file",
                "pbx.username",
                "pbx.username_file",
                "traces.headers",
                "traces.headers_file",
            ]
        );
    }

    #[test]
    fn the_nearest_key_is_the_one_most_alike() {
        for (typo, known) in [
            ("jobs.prefech", "jobs.prefetch"),
            ("job.prefetch", "jobs.prefetch"),
            ("prefetch", "jobs.prefetch"),
            ("pbx.baseurl", "pbx.base_url"),
            ("retry.attempt_max", "retry.attempts_max"),
        ] {
            assert_eq!(Keys::known().nearest(typo), known, "{typo}");
        }
    }

    #[test]
    fn of_a_long_key_only_the_start_is_compared() {
        let keys = Keys::known();
        let longest = keys.names().map(str::len).max().unwrap();
        assert!(longest <= COMPARED_CHARS_MAX, "{longest}");
        let start = format!("{:z<COMPARED_CHARS_MAX$}", "jobs.prefetch");
        // The whole of it has more in common with this one.
        let rest = "pbx.max_calls_per_second";
        assert_eq!(keys.nearest(&format!("{start}{rest}")), "jobs.prefetch");
        assert_eq!(
            keys.nearest(&format!("{}{rest}", "z".repeat(start.len() - rest.len()))),
            rest
        );
    }
}

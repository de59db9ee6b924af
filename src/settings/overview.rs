//! All settings as they count, fit to be shown: each with where it came from, secrets hidden.

use std::ffi::OsString;

use serde_json::Value;

use super::check::Check;
use super::keys::{Keys, value};
use super::problem::{Origin, Problems};
use super::{Arguments, address, meaning, read};

/// One setting as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// `pbx.timeout`
    pub key: String,
    pub value: Shown,
    /// `None`: the default.
    pub origin: Option<Origin>,
}

/// A value that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// As it counts; an address without its password. Null: not set.
    Plain(Value),
    /// A secret, or what may hold one.
    Hidden,
}

/// The settings that a worker would start with, or could not start with.
#[derive(Debug, Clone)]
pub struct Overview {
    /// By key. Of several ways to give the same thing only those that were used, or else all.
    pub settings: Vec<Effective>,
    /// What is wrong with what is given.
    pub problems: Option<Problems>,
}

impl Overview {
    /// Reads the settings from file and environment.
    pub fn from_process(arguments: &Arguments) -> Self {
        Self::load(arguments, std::env::vars_os())
    }

    /// The same with an environment of the caller's.
    pub fn load(
        arguments: &Arguments,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let (raw, mut check) = read(arguments, environment);
        let tree = serde_json::to_value(&raw).unwrap_or_default();
        let settings = meaning::broker_only(raw, &mut check);
        let keys = Keys::known();
        // An empty list is as good as none.
        let counts = |key: &str| check.is_given(key) && *value(&tree, key) != Value::Array(vec![]);
        let used = keys.names().filter(|key| {
            let mut rivals = keys.rivals(key).into_iter();
            check.is_given(key) || !rivals.any(|rival| counts(&rival))
        });
        let effective = used.map(|key| Effective {
            key: key.to_owned(),
            value: shown(key, value(&tree, key), &keys, &check),
            origin: check.origin(key).cloned(),
        });
        Self {
            settings: effective.collect(),
            problems: check.finish(settings).err(),
        }
    }
}

/// Reads an address, and leaves out what is secret.
type Reading = fn(&str) -> Result<String, String>;

fn bare(read: Reading, value: &Value) -> Option<Value> {
    let read = read(value.as_str().unwrap_or_default());
    read.ok().map(Value::from)
}

fn shown(key: &str, value: &Value, keys: &Keys, check: &Check) -> Shown {
    let fit = match key {
        _ if value.is_null() || *value == Value::Array(vec![]) => Some(value.clone()),
        "amqp.url" => bare(address::amqp, value),
        "amqp.urls" => {
            let urls = value.as_array().into_iter().flatten();
            urls.map(|url| bare(address::amqp, url)).collect()
        }
        "pbx.base_url" => bare(address::pbx, value),
        "traces.endpoint" if *value != "" => bare(address::otlp, value),
        // Some give the secret itself where its file belongs.
        _ if key.ends_with("_file") && check.is_refused(key) => None,
        _ if keys.is_secret(key) => None,
        _ => Some(value.clone()),
    };
    fit.map_or(Shown::Hidden, Shown::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(environment: &[(&str, &str)], arguments: &Arguments) -> Overview {
        let variables = environment.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Overview::load(arguments, variables)
    }

    fn setting(overview: &Overview, key: &str) -> Option<Effective> {
        let mut settings = overview.settings.iter();
        settings.find(|setting| setting.key == key).cloned()
    }

    #[test]
    fn each_value_comes_with_where_it_came_from() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[batch]\nlinger = \"1s\"\nmax_agents = 7\n").unwrap();
        let arguments = Arguments {
            config: Some(file.path().to_owned()),
            amqp_url: Some("amqp://u:hush@flag".to_owned()),
            ..Arguments::default()
        };
        let variables = [
            ("CLOCKOUT_BATCH_MAX_AGENTS", "8"),
            ("CLOCKOUT_AMQP_URL", "amqp://x"),
        ];
        let overview = overview(&variables, &arguments);
        let path = file.path().to_owned();
        for (key, value, origin) in [
            (
                "amqp.url",
                "amqp://u@flag".into(),
                Some(Origin::Flag("--amqp-url")),
            ),
            (
                "batch.linger",
                "1s".into(),
                Some(Origin::File { path, line: 2 }),
            ),
            (
                "batch.max_agents",
                8.into(),
                Some(Origin::Variable("CLOCKOUT_BATCH_MAX_AGENTS".to_owned())),
            ),
            ("pbx.timeout", "10s".into(), None),
            ("pbx.api_key", Value::Null, None),
        ] {
            let value = Shown::Plain(value);
            let expected = Effective {
                key: key.to_owned(),
                value,
                origin,
            };
            assert_eq!(setting(&overview, key), Some(expected));
        }
        assert_eq!(overview.problems, None);
    }

    #[test]
    fn no_secret_shows_wherever_it_was_put() {
        let secret = "hush-hush";
        for (variable, value) in [
            ("CLOCKOUT_PBX_API_KEY", secret.to_owned()),
            ("CLOCKOUT_PBX_USERNAME", secret.to_owned()),
            ("CLOCKOUT_PBX_PASSWORD", secret.to_owned()),
            ("CLOCKOUT_PBX_API_KEY_FILE", secret.to_owned()),
            ("CLOCKOUT_PBX_CA_FILE", secret.to_owned()),
            ("CLOCKOUT_PBX_KEY_FILE", secret.to_owned()),
            ("CLOCKOUT_AMQP_URL", format!("amqp://u:{secret}@host/%2f")),
            ("CLOCKOUT_AMQP_URL", format!("{secret}@host")),
            (
                "CLOCKOUT_AMQP_URLS",
                format!("amqp://a,amqp://u:{secret}@b"),
            ),
            ("CLOCKOUT_AMQP_URLS", format!("amqp://a,{secret}")),
            ("CLOCKOUT_AMQP_URL_FILE", secret.to_owned()),
            ("CLOCKOUT_PBX_BASE_URL", format!("http://u:{secret}@pbx")),
            ("CLOCKOUT_TRACES_ENDPOINT", format!("http://u:{secret}@h")),
            ("CLOCKOUT_TRACES_HEADERS", format!("key: {secret}")),
        ] {
            let overview = overview(&[(variable, &value)], &Arguments::default());
            let all = format!("{overview:?}");
            assert!(!all.contains(secret), "{variable}={value}: {all}");
        }
    }

    #[test]
    fn of_several_ways_to_give_an_address_only_the_one_that_counts_is_shown() {
        let given = [("CLOCKOUT_AMQP_URLS", "amqp://a,amqp://b")];
        let overview = overview(&given, &Arguments::default());
        let shown = |key| setting(&overview, key).map(|setting| setting.value);
        let both = serde_json::json!(["amqp://a", "amqp://b"]);
        assert_eq!(shown("amqp.urls"), Some(Shown::Plain(both)));
        assert_eq!(shown("amqp.url"), None);
    }

    #[test]
    fn an_empty_list_of_addresses_is_none() {
        let overview = overview(&[("CLOCKOUT_AMQP_URLS", "")], &Arguments::default());
        let default = Value::from("amqp://guest@127.0.0.1:5672/%2f");
        let shown = setting(&overview, "amqp.url").map(|setting| setting.value);
        assert_eq!(shown, Some(Shown::Plain(default)));
    }

    #[test]
    fn what_is_wrong_is_told_beside_the_rest() {
        let overview = overview(&[("CLOCKOUT_BATCH_LINGER", "soon")], &Arguments::default());
        let problems = overview.problems.clone().unwrap().to_string();
        assert!(problems.starts_with("batch.linger"), "{problems}");
        assert!(setting(&overview, "pbx.timeout").is_some());
    }
}

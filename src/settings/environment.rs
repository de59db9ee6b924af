//! The environment: variables to given values. Judges names and kinds, not meaning; reads no environment itself.
//!
//! A list is a TOML array (`["busy", "try again"]`) or, without brackets, comma separated (`busy, try again`).

use std::ffi::{OsStr, OsString};

use serde_json::{Number, Value};
use toml::de::DeValue;

use super::file::fit;
use super::given::Given;
use super::keys::{Keys, Kind, PREFIX, variable};
use super::problem::{Origin, Problem};

/// Names the settings file, unless a flag does.
pub(super) const CONFIG: &str = "CLOCKOUT_CONFIG";

/// Variables of the test suite.
const TEST_PREFIX: &str = "CLOCKOUT_TEST_";

/// The variables that are settings. What cannot be used becomes a problem and is left out.
pub(super) fn given(
    variables: &[(OsString, OsString)],
    keys: &Keys,
    problems: &mut Vec<Problem>,
) -> Vec<Given> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_ours(name, value)) else {
            continue;
        };
        match read(name, value, keys) {
            Ok(given) => found.push(given),
            Err(problem) => problems.push(problem),
        }
    }
    found
}

fn is_ours(name: &str, value: &OsStr) -> bool {
    name.starts_with(PREFIX)
        && name != CONFIG
        && !name.starts_with(TEST_PREFIX)
        && has_section_and_key(name)
        && !is_service_link(name, value)
}

/// What surrounds a worker names things of its own, such as `CLOCKOUT_BIN`; no setting has a name of one word.
fn has_section_and_key(name: &str) -> bool {
    name.trim_start_matches(PREFIX).contains('_')
}

/// Whether Kubernetes made this variable: it sets some for every service of the namespace, and one that is called
/// `clockout` or `clockout-metrics` gets our prefix.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_address = value.to_str().is_some_and(|value| value.contains("://"));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_address)
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            name.split_once("_PORT_")
                .is_some_and(|(_, rest)| rest.contains(protocol))
        })
}

fn read(name: &str, value: &OsStr, keys: &Keys) -> Result<Given, Problem> {
    let origin = Origin::Variable(name.to_owned());
    let Some((key, kind)) = keys.of_variable(name) else {
        let key = name
            .trim_start_matches(PREFIX)
            .replace('_', ".")
            .to_lowercase();
        return Err(Problem {
            key: name.escape_debug().to_string(),
            origin: None,
            wrong: "is not a setting".to_owned(),
            expected: format!(
                "a known key; the nearest is {}",
                variable(keys.nearest(&key))
            ),
        });
    };
    let problem = |wrong: &str, expected: &str| Problem {
        key: key.to_owned(),
        origin: Some(origin.clone()),
        wrong: wrong.to_owned(),
        expected: expected.to_owned(),
    };
    let text = value
        .to_str()
        .ok_or_else(|| problem("is not UTF-8", "UTF-8"))?;
    let value = parse(kind, text).ok_or_else(|| problem("does not fit", kind.expected()))?;
    Ok(Given {
        key: key.to_owned(),
        value,
        origin,
    })
}

fn parse(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Duration => Some(Value::from(text)),
        Kind::Whole => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => text
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::from),
        Kind::Switch => text.parse::<bool>().ok().map(Value::from),
        Kind::List if text.trim_start().starts_with('[') => {
            fit(kind, DeValue::parse(text.trim()).ok()?.get_ref())
        }
        Kind::List => Some(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_is_read_from_text() {
        for (kind, text, value) in [
            (Kind::Text, "", json!("")),
            (Kind::Text, "5", json!("5")),
            (Kind::Whole, "-5", json!(-5)),
            (Kind::Number, "2", json!(2.0)),
            (Kind::Switch, "false", json!(false)),
            (Kind::List, "", json!([])),
            (Kind::List, "busy", json!(["busy"])),
            (
                Kind::List,
                " busy , try again,",
                json!(["busy", "try again"]),
            ),
            (Kind::List, r#" ["a, b", 'c'] "#, json!(["a, b", "c"])),
        ] {
            assert_eq!(parse(kind, text), Some(value), "{text:?}");
        }
    }

    #[test]
    fn text_of_another_kind_is_refused() {
        for (kind, text) in [
            (Kind::Whole, "5.5"),
            (Kind::Whole, ""),
            (Kind::Number, "inf"),
            (Kind::Number, "NaN"),
            (Kind::Switch, "yes"),
            (Kind::List, "[1]"),
            (Kind::List, "[\"open\""),
        ] {
            assert_eq!(parse(kind, text), None, "{text:?}");
        }
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        for (name, value) in [
            ("HOME", "/root"),
            ("CLOCKOUT_CONFIG", "clockout.toml"),
            ("CLOCKOUT_TEST_AMQP_URL", "amqp://localhost"),
            ("CLOCKOUT_BIN", "/usr/local/bin/clockout"),
            ("CLOCKOUT_SERVICE_HOST", "10.0.0.1"),
            ("CLOCKOUT_METRICS_SERVICE_PORT_HTTP", "9464"),
            ("CLOCKOUT_PORT", "tcp://10.0.0.1:9464"),
            ("CLOCKOUT_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(!is_ours(name, OsStr::new(value)), "{name}");
        }
        assert!(is_ours("CLOCKOUT_HTTP_PORT", OsStr::new("9464")));
    }
}

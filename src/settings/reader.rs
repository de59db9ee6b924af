//! The settings of a worker, read at its start and anew while it works: what has changed, and which of that it can take.

use std::ffi::OsString;
use std::fmt;

use serde_json::Value;

use super::keys::{Keys, value};
use super::{Arguments, Problems, Settings, meaning, read};

/// Keys, and sections of keys, that a running worker takes.
const LIVE: [&str; 6] = [
    "batch.",
    "log.filter",
    "pbx.max_calls_per_second",
    "pbx.max_in_flight",
    "pbx.texts.",
    "retry.",
];

/// Reads the settings as often as somebody changes them. What it remembers is secret in part, so it cannot print.
pub struct Reader {
    arguments: Arguments,
    at_start: Value,
    last: Value,
}

/// What is written now, and what of it differs from what the worker goes by.
#[derive(Debug)]
pub struct Changes {
    pub settings: Settings,
    /// Keys that it can take now.
    pub live: Vec<String>,
    /// Keys that take a restart.
    pub fixed: Vec<String>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Reads file and environment for a start.
    pub fn start(arguments: Arguments) -> Result<(Settings, Self), Problems> {
        Self::start_in(arguments, std::env::vars_os())
    }

    fn start_in(
        arguments: Arguments,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Settings, Self), Problems> {
        let (settings, written) = settings(&arguments, environment)?;
        let reader = Self {
            arguments,
            at_start: written.clone(),
            last: written,
        };
        Ok((settings, reader))
    }

    /// Reads them again. With any problem in them nothing has changed.
    pub fn again(&mut self) -> Result<Changes, Problems> {
        self.again_in(std::env::vars_os())
    }

    fn again_in(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Changes, Problems> {
        let (settings, written) = settings(&self.arguments, environment)?;
        let keys = Keys::known();
        let (live, fixed): (Vec<&str>, Vec<&str>) = keys
            .names()
            .partition(|key| LIVE.iter().any(|live| key.starts_with(live)));
        let changes = Changes {
            settings,
            live: differing(&live, &self.last, &written),
            fixed: differing(&fixed, &self.at_start, &written),
        };
        self.last = written;
        Ok(changes)
    }
}

/// The settings, and the values that they were made of.
fn settings(
    arguments: &Arguments,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Settings, Value), Problems> {
    let (raw, mut check) = read(arguments, environment);
    let written = serde_json::to_value(&raw).unwrap_or_default();
    let settings = meaning::worker(raw, &mut check);
    Ok((check.finish(settings)?, written))
}

fn differing(keys: &[&str], before: &Value, now: &Value) -> Vec<String> {
    let differ = |key: &&&str| value(before, key) != value(now, key);
    let keys = keys.iter().filter(differ);
    keys.map(|key| (*key).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let url = ("CLOCKOUT_PBX_BASE_URL", "http://pbx.example");
        let all = given.iter().chain([&url]);
        all.map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn running() -> Reader {
        let started = Reader::start_in(Arguments::default(), variables(&[]));
        started.unwrap().1
    }

    #[test]
    fn what_changed_is_told_once_and_what_takes_a_restart_each_time() {
        let mut reader = running();
        let now = [
            ("CLOCKOUT_BATCH_LINGER", "1s"),
            ("CLOCKOUT_PBX_TEXTS_RETRY", "later"),
            ("CLOCKOUT_PBX_TIMEOUT", "11s"),
        ];
        let changes = reader.again_in(variables(&now)).unwrap();
        assert_eq!(changes.live, ["batch.linger", "pbx.texts.retry"]);
        assert_eq!(changes.fixed, ["pbx.timeout"]);
        assert_eq!(changes.settings.engine.linger.as_secs(), 1);
        let again = reader.again_in(variables(&now)).unwrap();
        assert_eq!(again.live, Vec::<String>::new());
        assert_eq!(again.fixed, ["pbx.timeout"]);
    }

    #[test]
    fn wrong_settings_change_nothing() {
        let mut reader = running();
        let wrong = [
            ("CLOCKOUT_BATCH_LINGER", "1s"),
            ("CLOCKOUT_RETRY_MAX", "soon"),
        ];
        let problems = reader.again_in(variables(&wrong)).unwrap_err().to_string();
        assert!(problems.starts_with("retry.max"), "{problems}");
        let right = reader.again_in(variables(&[])).unwrap();
        assert_eq!(right.live, Vec::<String>::new());
    }
}

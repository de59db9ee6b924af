//! Turns single values into what they mean and notes what is wrong with them, so that everything is told at once.
//!
//! Every check answers `None` where it noted a problem; [`Check::finish`] lets nothing out while there is one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroI64;
use std::path::Path;
use std::time::Duration;

use super::problem::{Origin, Problem, Problems, shown};
use super::{duration, file};

/// Longest name of an exchange or queue, in bytes: AMQP's short string.
const AMQP_NAME_BYTES_MAX: usize = 255;

pub(super) struct Check {
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Check {
    /// Goes on with the problems there are already.
    pub(super) fn new(origins: BTreeMap<String, Origin>, problems: Vec<Problem>) -> Self {
        Self { origins, problems }
    }

    /// The settings if nothing was wrong, else everything that was.
    pub(super) fn finish<T>(self, settings: Option<T>) -> Result<T, Problems> {
        settings
            .filter(|_| self.problems.is_empty())
            .ok_or(Problems(self.problems))
    }

    pub(super) fn is_given(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// `None`: the default.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.origins.get(key)
    }

    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Notes a problem. `wrong` must not hold a secret.
    pub(super) fn refuse(&mut self, key: &str, wrong: impl Display, expected: impl Display) {
        let origin = self
            .origins
            .get(key)
            .or_else(|| self.origins.get(&format!("{key}_file")));
        self.problems.push(Problem {
            key: key.to_owned(),
            origin: origin.cloned(),
            wrong: wrong.to_string(),
            expected: expected.to_string(),
        });
    }

    /// The value, or a problem that repeats what was given; not for secrets.
    pub(super) fn known<T>(
        &mut self,
        key: &str,
        text: &str,
        value: Option<T>,
        expected: impl Display,
    ) -> Option<T> {
        if value.is_none() {
            self.refuse(key, format_args!("is {}", shown(text)), expected);
        }
        value
    }

    /// A count from 1.
    pub(super) fn count<T>(&mut self, key: &str, value: i64, max: i64) -> Option<T>
    where
        T: TryFrom<NonZeroI64>,
    {
        let in_range = Some(value).filter(|value| (1..=max).contains(value));
        let count = in_range
            .and_then(NonZeroI64::new)
            .and_then(|value| value.try_into().ok());
        if count.is_none() {
            self.refuse(
                key,
                format_args!("is {value}"),
                format_args!("a whole number from 1 to {max}"),
            );
        }
        count
    }

    /// A duration that may be `"0s"`.
    pub(super) fn duration(&mut self, key: &str, text: &str) -> Option<Duration> {
        let expected = format!("{}, at most \"365d\"", duration::FORM);
        self.known(key, text, duration::parse(text), expected)
    }

    /// A duration that must not be `"0s"`.
    pub(super) fn wait(&mut self, key: &str, text: &str) -> Option<Duration> {
        let wait = self.duration(key, text)?;
        let expected = format!("{}, longer than nothing", duration::FORM);
        self.known(
            key,
            text,
            Some(wait).filter(|wait| !wait.is_zero()),
            expected,
        )
    }

    /// The name of an exchange or queue.
    pub(super) fn amqp_name(&mut self, key: &str, text: String) -> Option<String> {
        let fits = (1..=AMQP_NAME_BYTES_MAX).contains(&text.len())
            && !text.starts_with("amq.")
            && !text.chars().any(char::is_control);
        let expected =
            "1 to 255 bytes that do not start with \"amq.\", which RabbitMQ keeps for itself";
        self.known(key, &text, fits.then_some(()), expected)?;
        Some(text)
    }

    /// A text to be shown to people.
    pub(super) fn printable(
        &mut self,
        key: &str,
        text: String,
        chars_max: usize,
    ) -> Option<String> {
        let chars = text.chars().take(chars_max + 1).count();
        let fits = (1..=chars_max).contains(&chars) && !text.chars().any(char::is_control);
        let expected = format_args!("1 to {chars_max} printable characters");
        self.known(key, &text, fits.then_some(()), expected)?;
        Some(text)
    }

    /// A secret given inline or in a file, whose last line break does not count. `None` also if it was not given.
    pub(super) fn secret(
        &mut self,
        key: &str,
        inline: Option<String>,
        path: Option<String>,
    ) -> Option<String> {
        let Some(path) = path else {
            return inline;
        };
        let file_key = format!("{key}_file");
        if self.is_given(key) {
            self.refuse(
                &file_key,
                format_args!("is given beside {key}"),
                "one of the two",
            );
            return None;
        }
        let read = file::read_text(Path::new(&path));
        let text = self.readable(&file_key, read)?;
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Secrets given as a list, or in a file with one a line.
    pub(super) fn secrets(
        &mut self,
        key: &str,
        inline: Vec<String>,
        path: Option<String>,
    ) -> Option<Vec<String>> {
        if path.is_none() {
            return Some(inline);
        }
        let text = self.secret(key, None, path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Some(lines.map(str::to_owned).collect())
    }

    /// The content of a PEM file that holds at least one part with this label. `None` also if none was given.
    pub(super) fn pem(&mut self, key: &str, path: Option<String>, label: &str) -> Option<Vec<u8>> {
        let path = path?;
        let pem = self.readable(key, file::read(Path::new(&path)))?;
        let end_of_header = format!("{label}-----");
        let holds = pem
            .windows(end_of_header.len())
            .any(|bytes| bytes == end_of_header.as_bytes());
        if !holds {
            let expected = format_args!("a PEM file with a {label}");
            self.refuse(key, "names a file that holds none", expected);
        }
        holds.then_some(pem)
    }

    /// Does not repeat the path: some give the secret itself where its file belongs.
    fn readable<T>(&mut self, key: &str, read: std::io::Result<T>) -> Option<T> {
        read.map_err(|error| {
            let wrong = format_args!("names a file that cannot be read: {error}");
            self.refuse(key, wrong, "a file that this user can read");
        })
        .ok()
    }
}

//! What is wrong with the settings, for the person who wrote them. Never holds the value of a secret.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the settings file, counted from 1.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing to put right before clockout can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, `pbx.base_url`; or the file or variable if no setting could be told.
    pub key: String,
    /// `None`: the default, or a value that is missing.
    pub origin: Option<Origin>,
    pub wrong: String,
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, " {}; expected {}", self.wrong, self.expected)
    }
}

/// Everything that is wrong, one line each; at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Longest piece of a value that a problem repeats, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A value that is no secret, quoted on one line and cut to a length that can be read.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", value.get(..end).unwrap_or_default()),
        None => format!("{value:?}"),
    }
}

//! The settings file: TOML to given values, each with its line. Judges names and kinds, not meaning.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::Given;
use super::keys::{Keys, Kind, join};
use super::problem::{Origin, Problem};

/// Largest file that is read, in bytes: settings, secrets and certificates are all far smaller.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a whole file, up to 1 MiB.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "file is larger than 1 MiB",
        ));
    }
    Ok(bytes)
}

/// Reads a whole file of UTF-8, up to 1 MiB.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "file is not UTF-8"))
}

/// The values in the settings file. What cannot be used becomes a problem and is left out.
pub(super) fn given(path: &Path, keys: &Keys, problems: &mut Vec<Problem>) -> Vec<Given> {
    match read_text(path) {
        Ok(text) => {
            let mut walk = Walk {
                path,
                text: &text,
                keys,
                given: Vec::new(),
                problems,
            };
            walk.document();
            walk.given
        }
        Err(error) => {
            problems.push(Problem {
                key: path.display().to_string(),
                origin: None,
                wrong: format!("cannot be read: {error}"),
                expected: "a settings file in TOML".to_owned(),
            });
            Vec::new()
        }
    }
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    keys: &'a Keys,
    given: Vec<Given>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn document(&mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            // Only the message: what an error displays holds the line, and that may hold a secret.
            let origin = self.origin(error.span().map_or(0, |span| span.start));
            self.problems.push(Problem {
                key: origin.to_string(),
                origin: None,
                wrong: format!("is not TOML: {}", error.message()),
                expected: "lines such as `prefetch = 4000` under `[jobs]`".to_owned(),
            });
        }
        self.table("", table.get_ref());
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let origin = self.origin(name.span().start);
            match (self.keys.kind(&key), value.get_ref()) {
                (Some(kind), _) => self.leaf(key, kind, value, origin),
                (None, DeValue::Table(inner)) if self.is_worth_entering(&key, inner) => {
                    self.table(&key, inner);
                }
                (None, _) if self.keys.is_section(&key) => {
                    self.problem(key, origin, "is not a section", "a table of settings");
                }
                (None, _) => {
                    let known = self.keys.nearest(&key);
                    let expected = format!("a known key; the nearest is {known}");
                    // A quoted key may hold anything, line breaks too.
                    let key = key.escape_debug().to_string();
                    self.problem(key, origin, "is not a setting", &expected);
                }
            }
        }
    }

    /// Of an unknown section its keys are reported, or itself if it has none.
    fn is_worth_entering(&self, path: &str, table: &DeTable<'_>) -> bool {
        self.keys.is_section(path) || !table.is_empty()
    }

    fn leaf(&mut self, key: String, kind: Kind, value: &Spanned<DeValue<'_>>, origin: Origin) {
        let Some(fitting) = fit(kind, value.get_ref()) else {
            let wrong = format!("does not fit: it is of type {}", value.get_ref().type_str());
            return self.problem(key, origin, &wrong, kind.expected());
        };
        self.given.push(Given {
            key,
            value: fitting,
            origin,
        });
    }

    fn problem(&mut self, key: String, origin: Origin, wrong: &str, expected: &str) {
        self.problems.push(Problem {
            key,
            origin: Some(origin),
            wrong: wrong.to_owned(),
            expected: expected.to_owned(),
        });
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }
}

/// The value if it is of this kind.
pub(super) fn fit(kind: Kind, value: &DeValue<'_>) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Duration => value.as_str().map(Value::from),
        Kind::Whole => whole(value).map(Value::from),
        // Whole numbers are numbers; infinite ones have no place in JSON, nor here.
        Kind::Number => match value.as_float() {
            Some(float) => float
                .as_str()
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::from),
            None => whole(value).map(Value::from),
        },
        Kind::Switch => value.as_bool().map(Value::from),
        Kind::List => value
            .as_array()?
            .iter()
            .map(|item| fit(Kind::Text, item.get_ref()))
            .collect(),
    }
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

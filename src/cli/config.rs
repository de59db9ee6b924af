//! `clockout config`: the settings as they count, each with where it came from. No secret is shown.

use clap::Args;
use clockout::settings::{Effective, Origin, Overview, Shown};
use serde::Serialize;
use serde_json::{Map, Value};

use super::terminal::{self, Cell, Table, Tone};
use super::{Common, Exit};

/// Print the settings as they count, and where each came from; secrets are hidden.
///
/// Ends with 2 if something is wrong with what is given, which is told on standard error.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout config --config /etc/clockout/clockout.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Print JSON: an object with the settings by their keys.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let overview = Overview::from_process(&arguments.common.into());
    if arguments.json {
        let shown = serde_json::to_string_pretty(&json(&overview.settings)?)?;
        terminal::print_line(shown)?;
    } else {
        table(&overview.settings).print()?;
    }
    match overview.problems {
        Some(problems) => Err(problems.into()),
        None => Ok(Exit::Done),
    }
}

fn table(settings: &[Effective]) -> Table<3> {
    let mut table = Table::new(["setting", "value", "source"]);
    for Effective { key, value, origin } in settings {
        let value = match value {
            Shown::Plain(Value::Null) => Cell::text("(not set)").toned(Tone::Faint),
            Shown::Plain(value) => Cell::text(&value.to_string()),
            Shown::Hidden => Cell::text("(hidden)").toned(Tone::Doubtful),
        };
        let source = match origin {
            Some(origin) => Cell::text(&origin.to_string()),
            None => Cell::text("default").toned(Tone::Faint),
        };
        table.add([Cell::text(key), value, source]);
    }
    table
}

/// A setting as `--json` shows it.
#[derive(Serialize)]
struct Row<'a> {
    value: &'a Value,
    hidden: bool,
    source: &'static str,
    /// Which file and line, variable or flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

fn json(settings: &[Effective]) -> serde_json::Result<Map<String, Value>> {
    let rows = settings.iter().map(|Effective { key, value, origin }| {
        let row = Row {
            value: match value {
                Shown::Plain(value) => value,
                Shown::Hidden => &Value::Null,
            },
            hidden: *value == Shown::Hidden,
            source: match origin {
                None => "default",
                Some(Origin::File { .. }) => "file",
                Some(Origin::Variable(_)) => "environment",
                Some(Origin::Flag(_)) => "command line",
            },
            from: origin.as_ref().map(Origin::to_string),
        };
        Ok((key.clone(), serde_json::to_value(row)?))
    });
    rows.collect()
}

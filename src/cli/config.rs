//! `clockout config`: the settings as they count, each with where it came from. No secret is shown.

use std::io::{self, Write as _};

use clap::Args;
use clockout::settings::{Effective, Origin, Overview, Shown};
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Map, Value};

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
    let shown = if arguments.json {
        serde_json::to_string_pretty(&json(&overview.settings)?)?
    } else {
        table(&overview.settings).trim_fmt()
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{shown}")?;
    out.flush()?;
    match overview.problems {
        Some(problems) => Err(problems.into()),
        None => Ok(Exit::Done),
    }
}

fn table(settings: &[Effective]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for Effective { key, value, origin } in settings {
        let value = match value {
            Shown::Plain(Value::Null) => "(not set)".to_owned(),
            Shown::Plain(value) => value.to_string(),
            Shown::Hidden => "(hidden)".to_owned(),
        };
        let origin = origin.as_ref();
        let origin = origin.map_or_else(|| "default".to_owned(), Origin::to_string);
        table.add_row([key.clone(), value, origin]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
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

//! Results as tables for people.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::results::{Row, Spread};

/// One figure of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) figure: &'static str,
    pub(crate) heading: &'static str,
    /// Behind the decimal point.
    pub(crate) digits: usize,
}

pub(crate) const fn column(figure: &'static str, heading: &'static str, digits: usize) -> Column {
    Column {
        figure,
        heading,
        digits,
    }
}

/// Each table of a part, with the command behind each row.
pub(crate) fn print(rows: &[&Row], columns: &[Column]) {
    for group in rows.chunk_by(|a, b| a.key.table == b.key.table) {
        let Some(first) = group.first() else { continue };
        println!("\n{} · {}", first.key.part, first.key.table);
        println!("{}", table(group, columns));
        for row in group {
            println!("  {} · {}: {}", row.key.who, row.key.case, row.key.command);
        }
    }
}

fn table(rows: &[&Row], columns: &[Column]) -> Table {
    let told = |column: &&Column| {
        rows.iter()
            .any(|row| row.figures.contains_key(column.figure))
    };
    let columns: Vec<&Column> = columns.iter().filter(told).collect();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let headings = columns.iter().map(|column| column.heading);
    table.set_header(["", ""].into_iter().chain(headings));
    for row in rows {
        let cells = columns.iter().map(|column| {
            let figure = row.figures.get(column.figure);
            figure.map_or_else(String::new, |spread| cell(*spread, column.digits))
        });
        let names = [row.key.who.clone(), row.key.case.clone()];
        table.add_row(names.into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The median, and beneath it the least and the most if they differ.
fn cell(spread: Spread, digits: usize) -> String {
    let [median, least, most] =
        [spread.median, spread.least, spread.most].map(|value| format!("{value:.digits$}"));
    if least == most {
        median
    } else {
        format!("{median}\n{least}–{most}")
    }
}

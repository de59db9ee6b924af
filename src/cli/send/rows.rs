//! Jobs as CSV: a header that names fields of a job, and a job a row.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::draft::Draft;
use super::input::Given;
use crate::cli::terminal::counted;

/// How the text of a cell becomes the JSON of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// Words, separated by space.
    List,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    field: &'static str,
    form: Form,
}

const fn column(field: &'static str, form: Form) -> Column {
    Column { field, form }
}

/// The fields of CONTRACT §2, in its order.
static COLUMNS: [Column; 12] = [
    column("action", Form::Text),
    column("queue", Form::Text),
    column("agent", Form::Text),
    column("agents", Form::List),
    column("job_id", Form::Text),
    column("correlation_id", Form::Text),
    column("requested_at", Form::Text),
    column("expires_at", Form::Text),
    column("reason", Form::Text),
    column("context", Form::Json),
    column("dry_run", Form::Json),
    column("not_before", Form::Text),
];

/// The rows below the header. Of a header that cannot be used, that is all that is told.
pub(super) struct Rows<'i, R: BufRead> {
    reader: Reader<ByLine<R>>,
    header: Header,
    defaults: &'i Draft,
}

enum Header {
    Of(Vec<Column>),
    /// Why there is none, until it was told.
    Wrong(Option<String>),
}

impl<'i, R: BufRead> Rows<'i, R> {
    pub(super) fn new(input: R, defaults: &'i Draft) -> io::Result<Self> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .from_reader(ByLine::new(input));
        let header = match columns(reader.byte_headers()?) {
            Ok(columns) => Header::Of(columns),
            Err(why) => Header::Wrong(Some(why)),
        };
        Ok(Self {
            reader,
            header,
            defaults,
        })
    }

    /// The line that a record begins on: it ends on the one that was read last.
    fn line_of(&self, record: &ByteRecord) -> u64 {
        let line_ends = record.as_slice().iter().filter(|byte| **byte == b'\n');
        let more_lines = u64::try_from(line_ends.count()).unwrap_or(u64::MAX);
        self.reader.get_ref().line.saturating_sub(more_lines)
    }
}

impl<R: BufRead> Iterator for Rows<'_, R> {
    type Item = io::Result<Given>;

    fn next(&mut self) -> Option<Self::Item> {
        let columns = match &mut self.header {
            Header::Of(columns) => columns,
            Header::Wrong(why) => {
                let body = Err(why.take()?);
                return Some(Ok(Given {
                    line: Some(1),
                    body,
                }));
            }
        };
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => Some(Ok(Given {
                body: body(columns, &record, self.defaults),
                line: Some(self.line_of(&record)),
            })),
            Err(why) => Some(Err(why.into())),
        }
    }
}

fn columns(header: &ByteRecord) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for (name, position) in header.iter().zip(1..) {
        let name = String::from_utf8_lossy(name.trim_ascii());
        let known = COLUMNS.iter().find(|column| column.field == name);
        let Some(column) = known else {
            let fields = COLUMNS.map(|column| column.field).join(", ");
            return Err(format!(
                "column {position} is named {name:?}, which is no field of a job: {fields}"
            ));
        };
        if columns.contains(column) {
            return Err(format!(
                "column {position}: there is one named {name} already"
            ));
        }
        columns.push(*column);
    }
    Ok(columns)
}

fn body(columns: &[Column], record: &ByteRecord, defaults: &Draft) -> Result<Vec<u8>, String> {
    if record.len() != columns.len() {
        return Err(other_length(columns, record.len()));
    }
    let mut draft = Draft::default();
    for (Column { field, form }, cell) in columns.iter().zip(record) {
        let cell = std::str::from_utf8(cell.trim_ascii())
            .map_err(|why| format!("{field} is not UTF-8: {why}"))?;
        if cell.is_empty() {
            continue;
        }
        let set = match form {
            Form::Text => draft.set(field, cell),
            Form::List => draft.set(field, &cell.split_ascii_whitespace().collect::<Vec<_>>()),
            Form::Json => draft.set_json(field, cell),
        };
        set.map_err(|why| format!("{field}: {why}"))?;
    }
    draft.complete(defaults);
    draft.to_body().map_err(|why| why.to_string())
}

fn other_length(columns: &[Column], cells: usize) -> String {
    let (row, header) = (counted(cells, "cell"), counted(columns.len(), "column"));
    let lengths = format!("the row has {row}, the header {header}");
    match columns.get(cells) {
        Some(Column { field, .. }) => format!("there is no {field}: {lengths}"),
        None => lengths,
    }
}

/// Hands on one line at a time, so that the line is known which a reader has come to. (The count of the crate is off
/// after empty lines and where lines end with CRLF.)
struct ByLine<R> {
    input: R,
    /// The line handed on last, counted from 1.
    line: u64,
    is_at_line_end: bool,
}

impl<R: BufRead> ByLine<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            is_at_line_end: true,
        }
    }
}

impl<R: BufRead> Read for ByLine<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut ahead = self.input.fill_buf()?;
        if let Some(end) = ahead.iter().position(|byte| *byte == b'\n') {
            ahead = ahead.get(..=end).unwrap_or(ahead);
        }
        let count = ahead.read(room)?;
        let Some(last) = room.get(..count).and_then(<[u8]>::last) else {
            return Ok(0);
        };
        self.line += u64::from(self.is_at_line_end);
        self.is_at_line_end = *last == b'\n';
        self.input.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (u64, Result<String, String>);

    fn read(text: &str) -> Vec<Row> {
        let defaults = Draft::default();
        let rows = Rows::new(text.as_bytes(), &defaults).unwrap();
        let read = |given: io::Result<Given>| {
            let Given { line, body } = given.unwrap();
            let body = body.map(|body| String::from_utf8(body).unwrap());
            (line.unwrap(), body)
        };
        rows.map(read).collect()
    }

    fn row(line: u64, body: &str) -> Row {
        (line, Ok(body.to_owned()))
    }

    #[test]
    fn a_row_becomes_a_job_of_the_fields_that_its_header_names() {
        let text = "\u{feff}agents , queue,context,dry_run,reason\n\
                    570 553,0100,\"{\"\"n\"\": 1.0}\",true,\n\
                    5,6,no json,yes,\"one, two\"\n";
        assert_eq!(
            read(text),
            [
                row(
                    2,
                    r#"{"agents":["570","553"],"context":{"n": 1.0},"dry_run":true,"queue":"0100"}"#
                ),
                row(
                    3,
                    r#"{"agents":["5"],"context":"no json","dry_run":"yes","queue":"6","reason":"one, two"}"#
                ),
            ]
        );
    }

    #[test]
    fn a_row_knows_its_line_after_empty_lines_line_ends_in_cells_and_crlf() {
        for end in ["\n", "\r\n"] {
            let text = ["reason", "", "a", "\"b", "b\"", "", "", "c"].join(end);
            let lines: Vec<u64> = read(&text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [3, 4, 8], "{end:?}");
        }
    }

    #[test]
    fn a_row_of_another_length_is_wrong_and_the_next_is_read() {
        let rows = read("queue,agent\n1\n1,2,3\n1,2\n");
        let wrong = "there is no agent: the row has 1 cell, the header 2 columns";
        assert_eq!(rows[0], (2, Err(wrong.to_owned())));
        let wrong = "the row has 3 cells, the header 2 columns";
        assert_eq!(rows[1], (3, Err(wrong.to_owned())));
        assert_eq!(rows[2], row(4, r#"{"agent":"2","queue":"1"}"#));
    }

    #[test]
    fn a_header_that_names_no_field_of_a_job_is_told_and_nothing_else() {
        for (header, expected) in [
            ("queue,agnet", "column 2 is named \"agnet\""),
            ("queue;agent", "column 1 is named \"queue;agent\""),
            ("queue,agent,queue", "column 3"),
        ] {
            let rows = read(&format!("{header}\n1,2,3\n"));
            let [(1, Err(why))] = rows.as_slice() else {
                panic!("{rows:?}");
            };
            assert!(why.starts_with(expected), "{why}");
        }
    }

    #[test]
    fn every_field_of_a_job_can_be_a_column() {
        let schema = clockout::wire::schema::job().to_value();
        let mut fields: Vec<&str> = COLUMNS.map(|column| column.field).to_vec();
        fields.sort_unstable();
        let known = schema["properties"].as_object().unwrap().keys();
        assert_eq!(fields, known.map(String::as_str).collect::<Vec<_>>());
    }
}

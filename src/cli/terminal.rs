//! What commands share for their output: tables and colour on a terminal, plain text in a pipe.
//!
//! In a pipe a table is its header and its rows, one a line, cells separated by a tab, nothing cut or wrapped. Colour is
//! left out where standard output is no terminal, or where `NO_COLOR` is set. What is unprintable in foreign text reaches
//! neither. Knows nothing of what the commands show.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clockout::wire::excerpt::excerpt;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Color, ContentArrangement};
use terminal_size::{Height, Width};

/// What a text means to its reader; colour says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    /// Not known to be good, nor to be bad.
    Doubtful,
    /// Matters less than what stands beside it.
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        let colored = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Good => colored(AnsiColor::Green),
            Self::Bad => colored(AnsiColor::Red),
            Self::Doubtful => colored(AnsiColor::Yellow),
            Self::Faint => Style::new().dimmed(),
        }
    }

    fn color(self) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(Color::DarkGreen),
            Self::Bad => Some(Color::DarkRed),
            Self::Doubtful => Some(Color::DarkYellow),
            Self::Faint => Some(Color::DarkGrey),
        }
    }
}

/// For a terminal that says 0, as those of some build machines do, or nothing.
const SIZE_UNKNOWN: Size = Size {
    columns: 80,
    lines: 24,
};

/// What has room on a terminal at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) lines: u16,
}

/// Of the terminal that standard output is.
pub(super) fn size() -> Size {
    match terminal_size::terminal_size() {
        Some((Width(columns @ 1..), Height(lines @ 1..))) => Size { columns, lines },
        Some(_) | None => SIZE_UNKNOWN,
    }
}

/// Standard output; it takes away the colours of [`painted`] text where they do not belong.
pub(super) fn stdout() -> AutoStream<io::Stdout> {
    anstream::stdout()
}

/// Whether somebody still reads standard output. `head`, say, goes once it has seen enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    /// No error: a command that only shows has nothing left to do, one that does more goes on unheard.
    Gone,
}

/// Prints a text to standard output.
pub(super) fn print(text: &str) -> io::Result<Reader> {
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(unprinted) => Err(unprinted),
    }
}

/// Prints a text and ends its line.
pub(super) fn print_line(text: impl Display) -> io::Result<Reader> {
    print(&format!("{text}\n"))
}

/// Whether somebody looks at standard output.
pub(super) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// A text in the colour of its tone, for [`stdout`].
pub(super) fn painted(text: impl Display, tone: Tone) -> String {
    let style = tone.style();
    format!("{style}{text}{style:#}")
}

/// Foreign text on one line, what is unprintable in it escaped.
pub(super) fn printable(text: &str) -> String {
    excerpt(text, usize::MAX)
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(count: impl Copy + Display + PartialEq + From<u8>, thing: &str) -> String {
    let plural = if count == 1.into() { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// A table for standard output.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    alignment: CellAlignment,
}

impl Cell {
    /// Any text, foreign or not.
    pub(super) fn text(text: &str) -> Self {
        Self {
            text: printable(text),
            tone: Tone::Plain,
            alignment: CellAlignment::Left,
        }
    }

    pub(super) fn number(number: impl Display) -> Self {
        Self {
            text: number.to_string(),
            tone: Tone::Plain,
            alignment: CellAlignment::Right,
        }
    }

    pub(super) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

impl<const N: usize> Table<N> {
    pub(super) fn new(header: [&'static str; N]) -> Self {
        let rows = Vec::new();
        Self { header, rows }
    }

    pub(super) fn add(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// To standard output, whether or not anybody reads it.
    pub(super) fn print(&self) -> io::Result<()> {
        if is_watched() {
            print_line(self.drawn(usize::MAX))?;
        } else {
            print(&self.plain())?;
        }
        Ok(())
    }

    /// Drawn, in lines that end: the first rows, at most so many and as high as there is room. Rows that are left out are
    /// counted in a last line.
    pub(super) fn fitted(&self, rows_max: usize, room: Size) -> String {
        let lines_max = usize::from(room.lines);
        let all = self.rows.len();
        for rows in (1..=all.min(rows_max).min(lines_max)).rev() {
            let mut drawn = self.drawn(rows);
            let drawn = format!("{}\n", drawn.set_width(room.columns));
            let fitted = drawn + &self.left_out(all - rows);
            if fitted.lines().count() <= lines_max {
                return fitted;
            }
        }
        let no_line = lines_max == 0;
        self.left_out(if no_line { 0 } else { all })
    }

    fn left_out(&self, rows: usize) -> String {
        match rows {
            0 => String::new(),
            _ => format!(
                "{}: … and {rows} more\n",
                self.header.first().unwrap_or(&"")
            ),
        }
    }

    /// The first so many rows.
    fn drawn(&self, rows_max: usize) -> comfy_table::Table {
        let cell = |cell: &Cell| {
            let drawn = comfy_table::Cell::new(&cell.text).set_alignment(cell.alignment);
            match cell.tone.color() {
                Some(color) => drawn.fg(color),
                None => drawn,
            }
        };
        let mut table = comfy_table::Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(self.header)
            .add_rows(
                self.rows
                    .iter()
                    .take(rows_max)
                    .map(|row| row.iter().map(cell)),
            );
        if table.width() == Some(0) {
            table.set_width(SIZE_UNKNOWN.columns);
        }
        table
    }

    fn plain(&self) -> String {
        let rows = self
            .rows
            .iter()
            .map(|row| row.each_ref().map(|cell| cell.text.as_str()));
        let lines = std::iter::once(self.header).chain(rows);
        lines.map(|cells| cells.join("\t") + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table<2> {
        let mut table = Table::new(["message", "agents"]);
        table.add([
            Cell::text("a\tb\n\u{1b}[31m\u{202e}").toned(Tone::Bad),
            Cell::number(12),
        ]);
        table
    }

    #[test]
    fn in_a_pipe_a_row_is_a_line_whatever_its_cells_hold() {
        let expected = "message\tagents\na\\tb\\n\\u{1b}[31m\\u{202e}\t12\n";
        assert_eq!(sample().plain(), expected);
    }

    #[test]
    fn on_a_terminal_a_table_is_drawn() {
        let drawn = sample().drawn(1).force_no_tty().to_string();
        assert!(drawn.starts_with('┌') && drawn.ends_with('┘'), "{drawn}");
        assert!(drawn.contains("┆     12 │"), "{drawn}");
    }

    #[test]
    fn rows_that_find_no_room_are_counted() {
        let mut table = Table::new(["n"]);
        for n in 0..10 {
            table.add([Cell::number(n)]);
        }
        // A frame with its header takes four lines.
        for (rows_max, lines, shown, left_out) in [
            (10, 14, 10, 0),
            (10, 13, 8, 2),
            (3, 13, 3, 7),
            (10, 6, 1, 9),
            (10, 5, 0, 10),
            (10, 0, 0, 0),
        ] {
            let columns = 80;
            let fitted = table.fitted(rows_max, Size { columns, lines });
            assert!(fitted.lines().count() <= usize::from(lines), "{fitted}");
            let rows = fitted.lines().filter(|line| line.starts_with('│')).count();
            assert_eq!(rows.saturating_sub(1), shown, "{fitted}");
            let counted = format!("n: … and {left_out} more\n");
            assert_eq!(fitted.ends_with(&counted), left_out > 0, "{fitted}");
        }
    }

    #[test]
    fn a_count_of_one_is_of_one_thing() {
        assert_eq!(
            [0, 1, 2].map(|n| counted(n, "job")),
            ["0 jobs", "1 job", "2 jobs"]
        );
    }

    #[test]
    fn a_tone_begins_and_ends_with_its_text() {
        assert_eq!(painted("x", Tone::Good), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(painted("x", Tone::Plain), "x");
    }
}

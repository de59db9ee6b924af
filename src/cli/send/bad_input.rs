//! Why nothing was sent: what is wrong with what was given, and where.

use std::fmt;
use std::io;

use crate::cli::terminal::counted;

/// Most problems that are told one by one.
const SHOWN_MAX: usize = 20;

/// What was given cannot be sent; nothing was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadInput {
    #[error("cannot read {name}: {why}")]
    Unreadable { name: String, why: io::Error },
    /// Most likely not what was meant: an export that failed, or the wrong file.
    #[error("nothing was sent: no jobs in {name}")]
    Empty { name: String },
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// What is wrong with the jobs of an input, in their order: at least one thing.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Problems {
    name: String,
    shown: Vec<Problem>,
    count: usize,
}

#[derive(Debug)]
struct Problem {
    line: Option<u64>,
    /// Names the field, in CSV also the column's name.
    message: String,
}

impl Problems {
    pub(super) fn none_yet(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shown: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn note(&mut self, line: Option<u64>, messages: Vec<String>) {
        self.count += messages.len();
        let room = SHOWN_MAX.saturating_sub(self.shown.len());
        let problems = messages.into_iter().take(room);
        self.shown
            .extend(problems.map(|message| Problem { line, message }));
    }

    /// `good`, if nothing was noted.
    pub(super) fn or<T>(self, good: T) -> Result<T, Self> {
        if self.count == 0 { Ok(good) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = counted(self.count, "problem");
        write!(f, "nothing was sent: {problems} in {}", self.name)?;
        for Problem { line, message } in &self.shown {
            match line {
                Some(line) => write!(f, "\n  line {line}: {message}")?,
                None => write!(f, "\n  {message}")?,
            }
        }
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_its_line_and_there_are_no_more_lines_than_can_be_read() {
        let mut problems = Problems::none_yet("shift.csv");
        problems.note(Some(2), vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            problems.to_string(),
            "nothing was sent: 2 problems in shift.csv\n  line 2: a\n  line 2: b"
        );
        for line in 3..103 {
            problems.note(Some(line), vec!["c".to_owned()]);
        }
        let told = problems.to_string();
        assert_eq!(told.lines().count(), 1 + SHOWN_MAX + 1);
        assert!(told.ends_with("\n  … and 82 more"), "{told}");
    }

    #[test]
    fn an_input_without_problems_is_good() {
        assert!(matches!(Problems::none_yet("x").or(7), Ok(7)));
    }
}

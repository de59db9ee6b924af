//! Jobs as JSON lines: one object a line, sent as it stands unless flags add to it.

use std::io::{self, BufRead, Read as _};

use clockout::wire::job::BODY_BYTES_MAX;

use super::draft::Draft;
use super::input::Given;

/// Most of a line that is read: a job, and space around it.
const LINE_BYTES_MAX: u64 = BODY_BYTES_MAX as u64 + 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Empty lines count, but are no jobs.
#[derive(Debug)]
pub(super) struct JsonLines<'i, R> {
    input: R,
    line: u64,
    defaults: &'i Draft,
}

impl<'i, R: BufRead> JsonLines<'i, R> {
    pub(super) fn new(input: R, defaults: &'i Draft) -> Self {
        let line = 0;
        Self {
            input,
            line,
            defaults,
        }
    }

    /// The next line, or the beginning of one that is too long; `None` after the last.
    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        self.line += 1;
        Ok(Some(line))
    }

    fn body(&self, object: &[u8]) -> Result<Vec<u8>, String> {
        if object.len() > BODY_BYTES_MAX {
            return Err(format!("a job must be at most {BODY_BYTES_MAX} bytes"));
        }
        if self.defaults.is_empty() {
            return Ok(object.to_vec());
        }
        match serde_json::from_slice::<Draft>(object) {
            Ok(mut draft) => {
                draft.complete(self.defaults);
                draft.to_body().map_err(|why| why.to_string())
            }
            // Whoever reads it as a job will say what is wrong.
            Err(_) => Ok(object.to_vec()),
        }
    }
}

impl<R: BufRead> Iterator for JsonLines<'_, R> {
    type Item = io::Result<Given>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.read_line() {
                Ok(line) => line?,
                Err(why) => return Some(Err(why)),
            };
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line);
            let object = line.trim_ascii();
            if !object.is_empty() {
                let line = Some(self.line);
                let body = self.body(object);
                return Some(Ok(Given { line, body }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (u64, Result<String, String>);

    fn read(text: &str, defaults: &Draft) -> Vec<Line> {
        let lines = JsonLines::new(text.as_bytes(), defaults);
        let line = |given: io::Result<Given>| {
            let Given { line, body } = given.unwrap();
            let body = body.map(|body| String::from_utf8(body).unwrap());
            (line.unwrap(), body)
        };
        lines.map(line).collect()
    }

    #[test]
    fn each_line_that_is_not_empty_is_a_job_as_it_stands() {
        let text = "\u{feff}{\"n\": 1.0e5}\r\n\n  {}\n{\"last\":1}";
        let body = |text: &str| Ok(text.to_owned());
        assert_eq!(
            read(text, &Draft::default()),
            [
                (1, body("{\"n\": 1.0e5}")),
                (3, body("{}")),
                (4, body("{\"last\":1}"))
            ]
        );
    }

    #[test]
    fn a_line_that_is_too_long_costs_no_memory_and_not_the_next_one() {
        let text = format!("{}\n{{}}\n", "x".repeat(10 * BODY_BYTES_MAX));
        let lines = read(&text, &Draft::default());
        let wrong = lines[0].1.as_ref().unwrap_err();
        assert!(wrong.contains("at most 65536 bytes"), "{wrong}");
        assert_eq!(lines[1], (2, Ok("{}".to_owned())));
    }

    #[test]
    fn flags_add_what_a_job_does_not_say() {
        let mut defaults = Draft::default();
        defaults.set("action", "pause").unwrap();
        let lines = read("{\"queue\":1}\nno json\n", &defaults);
        let body = |text: &str| Ok(text.to_owned());
        assert_eq!(lines[0].1, body(r#"{"action":"pause","queue":1}"#));
        assert_eq!(lines[1].1, body("no json"));
    }
}

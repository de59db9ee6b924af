//! A process that keeps a broker alive for as long as we hold its standard input, and ends it when we are gone.
//!
//! The test runner has no hook for its end, and a panic or a kill would skip one: so what must not outlive the tests
//! hangs on a pipe that the kernel closes. Two programs speak this protocol: `scripts/rabbitmq-node` and
//! [`super::container`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Keeper {
    child: Child,
    /// `None` once let go.
    lifeline: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    ready: String,
}

impl Keeper {
    /// Starts the program and waits until it says that it is ready; `Err` if it ends before. It bounds its start itself.
    pub fn start(mut command: Command) -> Result<Keeper, String> {
        // A group of its own: Ctrl-C must reach the tests only, or the keeper could not clean up after them.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|why| format!("cannot start {command:?}: {why}"))?;
        let lifeline = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut keeper = Keeper {
            child,
            lifeline,
            answers,
            ready: String::new(),
        };
        while let Some(line) = keeper.line() {
            if let Some(why) = line.strip_prefix("failed ") {
                return Err(why.to_owned());
            }
            if line.starts_with("ready ") {
                keeper.ready = line;
                return Ok(keeper);
            }
        }
        Err("it ended before it was ready".to_owned())
    }

    /// A number of the line that said "ready".
    pub fn number(&self, key: &str) -> u32 {
        self.ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
            .unwrap_or_else(|| panic!("no {key} in {:?}", self.ready))
    }

    /// Has the broker evaluate an Erlang expression: one call of its command line, whatever there is to do.
    pub fn evaluate(&mut self, expression: &str) {
        let lifeline = self.lifeline.as_mut().expect("the keeper is not let go");
        writeln!(lifeline, "{expression}").expect("the keeper listens");
        let answer = self.line();
        assert_eq!(answer.as_deref(), Some("evaluated"), "{expression}");
    }

    /// Returns when the process has ended; it does so by itself once what it keeps has ended.
    pub fn wait(&mut self) {
        self.child.wait().expect("our own child");
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lifeline = None;
        self.wait();
    }
}

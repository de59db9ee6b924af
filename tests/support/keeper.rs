//! A process that keeps a broker for as long as we hold its standard input, and ends it when we are gone.
//!
//! The test runner has no hook for its end, and a panic or a kill would skip one: so what must not outlive the tests
//! hangs on a pipe that the kernel closes. Two programs take the same orders: `scripts/rabbitmq-node` (which
//! describes them) and [`super::container`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Keeper {
    process: Child,
    /// `None` once let go.
    lifeline: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What the first `start` answered.
    ports: String,
}

impl Keeper {
    /// Starts the program and with it a broker; `Err` if that fails. The program bounds its waits itself.
    pub fn start(mut command: Command) -> Result<Keeper, String> {
        // A group of its own: Ctrl-C must reach the tests only, or the keeper could not clean up after them.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|why| format!("cannot start {command:?}: {why}"))?;
        let lifeline = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut keeper = Keeper {
            process,
            lifeline,
            answers,
            ports: String::new(),
        };
        keeper.ports = keeper.order(&["start"])?;
        Ok(keeper)
    }

    /// Has an order carried out; what it printed.
    pub fn order(&mut self, words: &[&str]) -> Result<String, String> {
        let lifeline = self.lifeline.as_mut().expect("the keeper is not let go");
        // Where the keeper has ended, its answer tells.
        drop(writeln!(lifeline, "{}", words.join("\t")));
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let read = self.answers.read_line(&mut line);
            if read.is_ok_and(|bytes| bytes == 0) {
                return Err(said.lines().last().unwrap_or("no word why").to_owned());
            }
            if line.trim_end() == "done" {
                return Ok(said);
            }
            said += &line;
        }
    }

    /// The port on which the broker talks `protocol`: `amqp` or `tls`.
    pub fn port(&self, protocol: &str) -> u16 {
        self.ports
            .split_whitespace()
            .find_map(|word| word.strip_prefix(protocol)?.strip_prefix('=')?.parse().ok())
            .unwrap_or_else(|| panic!("no port for {protocol} in {:?}", self.ports))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lifeline = None;
        self.process.wait().expect("our own child");
    }
}

//! `clockout` with any other command: run to its end, or followed line by line.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::spawn_blocking;

use super::{Place, poll, within};

/// Most lines of a running command that wait to be read.
const LINES_MAX: usize = 10_000;

/// A command to be started.
pub struct Invocation {
    command: Command,
    input: Vec<u8>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Mutex<Child>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Invocation {
    /// The command and its arguments, for what stands at this place on the broker.
    pub fn at(place: &Place, arguments: &[&str]) -> Invocation {
        Invocation::of(env!("CARGO_BIN_EXE_clockout"), place, arguments)
    }

    /// Any program, whose own commands of `clockout` are for that place.
    pub fn of(program: &str, place: &Place, arguments: &[&str]) -> Invocation {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("CLOCKOUT_AMQP_URL", &place.url)
            .env("CLOCKOUT_JOBS_EXCHANGE", &place.names.jobs)
            .env("CLOCKOUT_JOBS_QUEUE", &place.names.jobs)
            .env("CLOCKOUT_RESULTS_EXCHANGE", &place.names.results)
            .env("CLOCKOUT_RESULTS_QUEUE", &place.names.results)
            .env("CLOCKOUT_DEAD_EXCHANGE", &place.names.dead)
            .env("CLOCKOUT_DEAD_QUEUE", &place.names.dead)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = Vec::new();
        Invocation { command, input }
    }

    /// The same on a terminal, to which both its outputs go. What is typed does not show.
    pub fn on_a_terminal(self) -> Invocation {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let quoted = words.map(|word| format!("'{}'", word.to_str().expect("plain text")));
        let line = quoted.collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command
            .args([
                "--quiet",
                "--return",
                "--echo",
                "never",
                "--command",
                &line,
                "/dev/null",
            ])
            .env_clear()
            .envs(self.command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("TERM", "xterm")
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Invocation { command, ..self }
    }

    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Invocation {
        self.command.env(name, value);
        self
    }

    /// Its standard output goes to a pipe that nobody reads any more.
    pub fn unread(mut self) -> Invocation {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.command.stdout(writer);
        self
    }

    /// What it reads from standard input.
    pub fn input(self, input: impl Into<Vec<u8>>) -> Invocation {
        let input = input.into();
        Invocation { input, ..self }
    }

    /// Starts it and waits for its end.
    pub async fn finished(mut self) -> Finished {
        let run = spawn_blocking(move || {
            let mut child = self.command.spawn().expect("the command starts");
            let mut stdin = child.stdin.take().expect("stdin is piped");
            let input = self.input;
            // It may end without reading it.
            let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
            let output = child.wait_with_output().expect("an end");
            writing.join().expect("no panic");
            output
        });
        let output = within("the end of the command", run)
            .await
            .expect("no panic");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts it; its standard input is empty.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the command starts");
        drop(child.stdin.take());
        let stdout = lines(child.stdout.take().expect("stdout is piped"));
        let stderr = lines(child.stderr.take().expect("stderr is piped"));
        Running {
            child: Mutex::new(child),
            stdout,
            stderr,
        }
    }
}

/// The lines of a pipe; once nobody receives them, the pipe is closed.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Running {
    /// The next line of standard output; waits for it.
    pub async fn line(&mut self) -> String {
        let line = within("a line on standard output", self.stdout.recv()).await;
        line.expect("standard output goes on")
    }

    /// What is left of standard output, to its end.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(line) = within("the end of standard output", self.stdout.recv()).await {
            rest.push(line);
        }
        rest
    }

    /// Waits until standard error has a line with this text; what it said up to there.
    pub async fn says(&mut self, text: &str) -> String {
        let mut said = String::new();
        while !said.contains(text) {
            let waiting = format_args!("{text:?} on standard error");
            let line = within(waiting, self.stderr.recv()).await;
            said += &(line.expect("standard error goes on") + "\n");
        }
        said
    }

    /// Reads its standard output no further: whoever writes to it then finds the pipe closed.
    pub fn close_stdout(&mut self) {
        self.stdout.close();
    }

    /// `TERM`, `INT`, `KILL`, …
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.lock().unwrap().id());
        let done = Command::new("sh").args(["-c", &kill]).status();
        assert!(done.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&self) -> ExitStatus {
        poll("the command's end", async || self.has_ended()).await
    }

    /// How the process has ended, if it has.
    pub fn has_ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().expect("no panic before");
        // It may have ended already.
        drop(child.kill());
        drop(child.wait());
    }
}

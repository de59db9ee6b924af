//! The examples as child processes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tokio::sync::mpsc;

use crate::support::{Place, poll, within};

const LINES_MAX: usize = 16;

/// Fetches the language's library; what is missing if that cannot be.
pub(crate) fn prepare(language: &str) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prepare");
    let run = Command::new(script).arg(language).output();
    let run = run.map_err(|why| why.to_string())?;
    if run.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&run.stderr);
    Err(said.lines().last().unwrap_or("no word why").to_owned())
}

/// What a producer said.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) succeeded: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a producer to its end: `arguments` are its shift, action and orders.
pub(crate) fn produce(place: &Place, language: &str, exchange: &str, arguments: &[&str]) -> Sent {
    let run = example(place, language, "producer")
        .env("JOBS_EXCHANGE", exchange)
        .args(arguments)
        .output()
        .expect("the example starts");
    Sent {
        succeeded: run.status.success(),
        out: String::from_utf8(run.stdout).unwrap(),
        err: String::from_utf8(run.stderr).unwrap(),
    }
}

/// A consumer at work. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Consumer {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Consumer {
    /// `arguments`: queue, pattern and count.
    pub(crate) fn start(place: &Place, language: &str, arguments: &[&str]) -> Self {
        let mut process = example(place, language, "consumer")
            .env("RESULTS_EXCHANGE", &place.names.results)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let (line, lines) = mpsc::channel(LINES_MAX);
        std::thread::spawn(move || {
            let said = stdout.lines().map_while(Result::ok);
            said.map_while(|said| line.blocking_send(said).ok()).count()
        });
        Self { process, lines }
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = within("a line of the consumer", self.lines.recv()).await;
        line.expect("the consumer goes on")
    }

    /// Waits for its end; whether it ended well.
    pub(crate) async fn ended(mut self) -> bool {
        let process = Mutex::new(&mut self.process);
        let status = poll("the consumer's end", async || {
            process.lock().unwrap().try_wait().unwrap()
        });
        status.await.success()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn example(place: &Place, language: &str, program: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/run");
    let mut command = Command::new(script);
    command
        .args([language, program])
        .env("AMQP_URL", &place.url);
    command
}

//! The real binary, `clockout run`, as a child process: its settings, its log, its HTTP side, its end.

use std::collections::BTreeMap;
use std::iter::once;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use tempfile::NamedTempFile;

use super::broker::Place;
use super::http::{self, Answer};
use super::{free_port, poll};

/// What a worker is started with.
#[derive(Clone)]
pub struct WorkerSetup {
    environment: BTreeMap<String, String>,
    http_port: u16,
}

/// Killed when dropped; prints its log if the test failed.
pub struct Worker {
    child: Child,
    http_port: u16,
    log: NamedTempFile,
}

impl WorkerSetup {
    pub fn new(place: &Place, pbx_url: &str) -> WorkerSetup {
        let http_port = free_port();
        let setup = WorkerSetup {
            environment: BTreeMap::new(),
            http_port,
        };
        let setup = if place.other_urls.is_empty() {
            setup.set("amqp.url", &place.url)
        } else {
            let others = place.other_urls.iter().map(String::as_str);
            let urls: Vec<&str> = once(place.url.as_str()).chain(others).collect();
            setup.set("amqp.urls", &urls.join(","))
        };
        setup
            .set("jobs.exchange", &place.names.jobs)
            .set("jobs.queue", &place.names.jobs)
            .set("results.exchange", &place.names.results)
            .set("results.queue", &place.names.results)
            .set("dead.exchange", &place.names.dead)
            .set("dead.queue", &place.names.dead)
            .set("pbx.base_url", pbx_url)
            .set("http.listen", &format!("127.0.0.1:{http_port}"))
            // Impatient, so that the tests are fast.
            .set("batch.linger", "20ms")
            .set("retry.initial", "10ms")
            .set("retry.max", "50ms")
            .set("breaker.cooldown", "100ms")
    }

    /// A setting by its key in CONTRACT §7.
    pub fn set(mut self, key: &str, value: &str) -> WorkerSetup {
        self.environment.insert(variable(key), value.to_owned());
        self
    }

    /// Leaves a setting to its default.
    pub fn unset(mut self, key: &str) -> WorkerSetup {
        self.environment.remove(&variable(key));
        self
    }

    /// Any other environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> WorkerSetup {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The binary with these settings and arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clockout"));
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it is ready for jobs.
    pub async fn start(self) -> Worker {
        let worker = self.spawn();
        worker.ready().await;
        worker
    }

    /// Starts it, and nothing more.
    pub fn spawn(self) -> Worker {
        let log = NamedTempFile::new().expect("a file for the log");
        let stderr = log.reopen().expect("the file of the log is there");
        self.spawn_logging_to(stderr, log)
    }

    /// Starts it with something else between its standard error and the file of its log.
    pub fn spawn_logging_to(self, stderr: impl Into<Stdio>, log: NamedTempFile) -> Worker {
        let child = self
            .command(&["run"])
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        Worker {
            child,
            http_port: self.http_port,
            log,
        }
    }
}

fn variable(key: &str) -> String {
    format!("CLOCKOUT_{}", key.replace('.', "_").to_uppercase())
}

impl Worker {
    /// Waits until `/readyz` is green.
    pub async fn ready(&self) {
        self.answers("/readyz", 200).await;
    }

    /// Waits until `path` is answered with `status`; the answer's body.
    pub async fn answers(&self, path: &str, status: u16) -> String {
        poll(format_args!("{status} from {path}"), async || {
            let answer = self.get(path).await?;
            (answer.status == status).then_some(answer.body)
        })
        .await
    }

    /// Waits until `/metrics` has this line.
    pub async fn shows(&self, metric: &str) {
        poll(metric, async || {
            let metrics = self.get("/metrics").await?.body;
            let shown = metrics.lines().any(|line| line == metric);
            shown.then_some(())
        })
        .await;
    }

    /// Asks the admin side once; `None` if it does not listen.
    pub async fn get(&self, path: &str) -> Option<Answer> {
        http::ask(self.http_port, "GET", path, "").await
    }

    /// Asks for an action with this token.
    pub async fn act(&self, action: &str, token: &str, body: &str) -> Answer {
        let headers = format!("authorization: Bearer {token}\r\n");
        let path = format!("/actions/{action}");
        let answer = http::ask_with(self.http_port, ("POST", &path), &headers, body).await;
        answer.expect("an answer")
    }

    /// Where its admin side listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// `TERM`, `INT`, `KILL`, …
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id());
        let done = Command::new("sh").args(["-c", &kill]).status();
        assert!(done.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        poll("the worker's end", async || {
            child.lock().unwrap().try_wait().unwrap()
        })
        .await
    }

    /// What it has written to standard error: all of it, as it goes straight into a file. A letter that is just being written may
    /// be cut.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.log.path()).expect("the file of the log is there");
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the worker's log\n{}---", self.log());
        }
    }
}

//! The real parts: a RabbitMQ node, a simulated PBX, a faulty link to each, and the workers between the links.
//!
//! Node, PBX and links serve all seeds of a run; virtual host and workers are new with each.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::oracle::{Call, Pbx};
use crate::proxy::Link;
use crate::schedule::Schedule;
use crate::support::{Names, Node, Place, Worker, WorkerSetup, http};

/// Whose rights the workers have; its password too.
pub const USER: &str = "clockout";

/// What a worker offers RabbitMQ: so it counts as lost after four seconds of silence.
const HEARTBEAT_SECONDS: u32 = 2;

pub struct World {
    pub node: Arc<Node>,
    pub pbx: PbxProcess,
    pub broker_link: Link,
    pub pbx_link: Link,
}

/// `clockout pbx-sim`; killed when dropped.
pub struct PbxProcess {
    child: Child,
    port: u16,
    pub started: Instant,
}

fn name(number: usize) -> String {
    format!("worker-{}", number + 1)
}

/// The workers of one seed; each comes back on the same settings.
pub struct Crew {
    setups: Vec<WorkerSetup>,
    workers: Vec<Worker>,
    /// What those wrote that are gone.
    logs: Vec<String>,
}

impl World {
    pub async fn start() -> World {
        let node = Node::start_for_shards();
        node.add_user(USER);
        let pbx = PbxProcess::start();
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        World {
            broker_link: Link::to(loopback(node.port())).await,
            pbx_link: Link::to(loopback(pbx.port)).await,
            node: Arc::new(node),
            pbx,
        }
    }

    /// The version of RabbitMQ.
    pub async fn version(&self) -> String {
        self.obey(|node| node.ctl(&["version"]))
            .await
            .trim()
            .to_owned()
    }

    /// Gives an order to the node, without keeping the links waiting meanwhile.
    pub async fn obey<T: Send + 'static>(
        &self,
        order: impl FnOnce(&Node) -> T + Send + 'static,
    ) -> T {
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || order(&node))
            .await
            .expect("the node obeys")
    }

    /// Workers on this virtual host, behind the links.
    pub fn crew(&self, vhost: &str, schedule: &Schedule) -> Crew {
        let (amqp, http) = (self.broker_link.port(), self.pbx_link.port());
        let behind = Place {
            url: format!(
                "amqp://{USER}:{USER}@127.0.0.1:{amqp}/{vhost}?heartbeat={HEARTBEAT_SECONDS}"
            ),
            other_urls: Vec::new(),
            names: Names::default(),
            shared: false,
        };
        let setup = |number: usize| {
            let setup = WorkerSetup::new(&behind, &format!("http://127.0.0.1:{http}"))
                .set("worker.name", &name(number))
                .set("jobs.shards", &schedule.shards.to_string());
            let settings = schedule.settings.iter();
            settings.fold(setup, |setup, (key, value)| setup.set(key, value))
        };
        let setups: Vec<WorkerSetup> = (0..schedule.workers).map(setup).collect();
        Crew {
            workers: setups.iter().cloned().map(WorkerSetup::spawn).collect(),
            setups,
            logs: Vec::new(),
        }
    }
}

impl Crew {
    pub fn size(&self) -> usize {
        self.workers.len()
    }

    /// The place of the worker of this name.
    pub fn number(&self, worker: &str) -> Option<usize> {
        (0..self.size()).find(|number| name(*number) == worker)
    }

    pub fn worker(&mut self, number: usize) -> &mut Worker {
        &mut self.workers[number]
    }

    /// Starts a worker in the place of one that has ended.
    pub fn replace(&mut self, number: usize) {
        let new = self.setups[number].clone().spawn();
        let old = std::mem::replace(&mut self.workers[number], new);
        self.logs.push(old.log());
    }

    pub async fn ready(&self) {
        for worker in &self.workers {
            worker.ready().await;
        }
    }

    /// What all of them wrote, process by process.
    pub fn logs(&self) -> String {
        let of_now = self.workers.iter().map(Worker::log);
        let all: Vec<String> = self.logs.iter().cloned().chain(of_now).collect();
        all.join("\n--- the next process\n")
    }
}

impl PbxProcess {
    pub fn start() -> PbxProcess {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_clockout"))
            .args(["pbx-sim", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut address)
            .expect("the address that it listens on");
        let port = address
            .trim()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        PbxProcess {
            child,
            port: port.expect("a port in its address"),
            started,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces what goes wrong at the PBX.
    pub async fn set_faults(&self, rules: &Value) {
        self.ask("PUT", "/sim/faults", &rules.to_string()).await;
    }

    /// Everyone is back on every queue, and no call was ever made.
    pub async fn reset(&self) {
        self.ask("DELETE", "/sim/state", "").await;
        self.ask("DELETE", "/sim/calls", "").await;
    }

    /// What it has seen since it was last reset.
    pub async fn seen(&self) -> Pbx {
        #[derive(Deserialize)]
        struct Page {
            next: u64,
            calls: Vec<Call>,
        }
        let mut calls = Vec::new();
        let mut since = 0;
        loop {
            let page: Page = self.read(&format!("/sim/calls?since={since}")).await;
            if page.calls.is_empty() {
                break;
            }
            calls.extend(page.calls);
            since = page.next;
        }
        let members = self.read("/sim/state").await;
        Pbx { calls, members }
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let body = self.ask("GET", path, "").await;
        serde_json::from_str(&body).expect("the PBX speaks JSON")
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let answer = http::ask(self.port, method, path, body).await;
        let answer = answer.expect("the PBX answers its operator");
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.body
    }

    /// The moment that it calls so many milliseconds after its start.
    pub fn moment(&self, ms: u64) -> Instant {
        self.started + Duration::from_millis(ms)
    }
}

impl Drop for PbxProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

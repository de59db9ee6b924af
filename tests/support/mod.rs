//! The stage for tests against real parts: a RabbitMQ, the worker's binary, a client that plays producer and consumer. Every
//! test binary that needs them takes it in by its path.
//!
//! [`stage()`] gives a test a virtual host of its own on the run's one broker, and a simulated PBX; a test that kills or freezes its
//! broker starts a [`Node`] of its own. Whatever is started here ends with its owner, and at the latest with the
//! test process, however that ends.

mod broker;
mod cluster;
mod command;
mod container;
pub mod http;
mod keeper;
mod left_out;
mod node;
pub mod otlp;
mod rabbit;
mod worker;

use std::fmt::Display;
use std::future::Future;
use std::iter;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use clockout::pbx::sim::{Options, Sim, Verb};
use futures_util::future::join_all;
use lapin::BasicProperties;
use serde_json::Value;
use tokio::runtime::Runtime;

pub use broker::{Names, Place, place};
pub use cluster::Cluster;
pub use command::{Finished, Invocation, Running};
pub(crate) use left_out::left_out;
pub use node::{Node, Tls};
pub use rabbit::{Message, Rabbit, Tap, connect, json_message};
pub use worker::{Worker, WorkerSetup};

/// Longest that a test waits for one thing to happen, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The output of `future`; panics with `what` if it does not come.
pub async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Asks again and again until there is an answer: for what tells nobody when it changes.
pub async fn poll<T, F: Future<Output = Option<T>>>(what: impl Display, ask: impl Fn() -> F) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Ports that a test process claims at a time.
const PORTS_AT_ONCE: u16 = 100;

#[derive(Debug)]
struct Ports {
    /// Bound as long as this process lives, and used for nothing else: who finds one taken claims other ports.
    claims: Vec<UdpSocket>,
    left: Range<u16>,
}

impl Ports {
    /// Below the ephemeral range, so that no outgoing connection takes one before its user binds it.
    fn claim(&mut self) {
        let claims = iter::repeat_with(|| 10_000 + PORTS_AT_ONCE * fastrand::u16(0..90));
        let claim = |first| Some((first, UdpSocket::bind(("127.0.0.1", first)).ok()?));
        let claimed = claims.take(1_000).find_map(claim);
        let (first, claim) = claimed.expect("ports that no other test process has");
        self.claims.push(claim);
        self.left = first..first + PORTS_AT_ONCE;
    }
}

/// A port for this process alone, also while a worker that has it is down and to be started again.
pub fn free_port() -> u16 {
    static PORTS: Mutex<Ports> = Mutex::new(Ports {
        claims: Vec::new(),
        left: 0..0,
    });
    let mut ports = PORTS.lock().expect("nobody panics with it");
    loop {
        match ports.left.next() {
            Some(port) if TcpListener::bind(("127.0.0.1", port)).is_ok() => return port,
            Some(_) => {}
            None => ports.claim(),
        }
    }
}

/// What a call asked for, and for which agents.
pub type Call = (Verb, Vec<String>);

/// Where a test plays: its place on the broker, a PBX, a client, and what comes out, heard from the beginning.
pub struct Stage {
    pub place: Place,
    pub pbx: Sim,
    pub rabbit: Rabbit,
    /// Everything published to the results exchange.
    pub outcomes: Tap,
    /// Everything published to the dead exchange.
    pub dead: Tap,
}

/// Where the PBXes live: a test that waits for its broker blocks its own runtime, and must not stop its PBX.
static PBX_SIDE: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A stage on the run's shared broker.
pub async fn stage() -> Stage {
    Stage::at(place()).await
}

impl Stage {
    pub async fn at(place: Place) -> Stage {
        let rabbit = Rabbit::connect(&place.url).await;
        let outcomes = rabbit.tap(&place.names.results).await;
        let dead = rabbit.tap(&place.names.dead).await;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Stage {
            place,
            pbx: PBX_SIDE
                .spawn(Sim::start(any_port, Options::default()))
                .await
                .unwrap()
                .unwrap(),
            rabbit,
            outcomes,
            dead,
        }
    }

    /// A worker on this stage, to be adjusted and started.
    pub fn worker(&self) -> WorkerSetup {
        WorkerSetup::new(&self.place, &self.pbx.url())
    }

    /// Replaces what goes wrong at the PBX, as `POST /sim/faults` would.
    pub fn faults(&self, rules: Value) {
        let rules = serde_json::from_value(rules).expect("fault rules");
        self.pbx.set_faults(rules).expect("fault rules");
    }

    /// Publishes a job as the contract asks producers to; its routing key is its PBX queue.
    pub async fn send(&self, job: Value) {
        self.send_all([job]).await;
    }

    /// Publishes jobs in this order, in one go.
    pub async fn send_all(&self, jobs: impl IntoIterator<Item = Value>) {
        let sends = jobs.into_iter().map(|job| async move {
            let key = job["queue"].as_str().unwrap_or("_").to_owned();
            self.send_raw(&key, job.to_string().as_bytes(), json_message())
                .await;
        });
        join_all(sends).await;
    }

    /// Publishes anything to the jobs exchange.
    pub async fn send_raw(&self, key: &str, body: &[u8], properties: BasicProperties) {
        let exchange = &self.place.names.jobs;
        self.rabbit.publish(exchange, key, body, properties).await;
    }

    /// The next `count` outcomes, in the order in which they were told.
    pub async fn outcomes(&mut self, count: usize) -> Vec<Value> {
        let messages = self.outcomes.take(count).await;
        messages.iter().map(Message::json).collect()
    }

    /// Publishes a job of one agent on an otherwise silent stage; its outcome.
    pub async fn perform(&mut self, job: Value) -> Value {
        self.send(job).await;
        self.outcomes.next().await.json()
    }

    /// Waits until the PBX has got `count` calls.
    pub async fn called(&self, count: usize) {
        poll(format_args!("{count} calls"), async || {
            (self.pbx.calls(0).len() >= count).then_some(())
        })
        .await;
    }

    /// Waits until `count` jobs are ready in RabbitMQ: not taken by any worker, or given back.
    pub async fn jobs_ready(&self, count: u32) {
        let queue = &self.place.names.jobs;
        poll(format_args!("{count} jobs ready in {queue}"), async || {
            (self.rabbit.depth(queue).await == Some(count)).then_some(())
        })
        .await;
    }

    /// The calls that the PBX got.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.pbx.calls(0).into_iter();
        calls.map(|call| (call.action, call.agents)).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.place.shared {
            rabbit::delete(&self.place);
        }
    }
}

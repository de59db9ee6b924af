//! The stage for tests against real parts: a RabbitMQ, the worker's binary, a client that plays producer and consumer.
//!
//! [`stage()`] gives a test a virtual host of its own on the run's one broker; a test that kills or freezes its
//! broker starts a [`Node`] of its own. Whatever is started here ends with its owner, and at the latest with the
//! test process, however that ends.

mod broker;
mod container;
mod keeper;
mod node;
mod rabbit;
mod worker;

use std::fmt::Display;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub use broker::{Names, Place, place};
pub use node::{Node, Tls};
pub use rabbit::{Message, Rabbit, Tap};
pub use worker::{Worker, WorkerSetup};

/// Longest that a test waits for one thing to happen, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

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

/// Below the ephemeral range, so that no outgoing connection takes it before its user binds it.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(fastrand::u16(10_000..19_000)));
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where a test plays: its place on the broker, a client there, and what comes out, heard from the beginning.
pub struct Stage {
    pub place: Place,
    pub rabbit: Rabbit,
    /// Everything published to the results exchange.
    pub outcomes: Tap,
    /// Everything published to the dead exchange.
    pub dead: Tap,
}

/// A stage on the run's shared broker.
pub async fn stage() -> Stage {
    Stage::at(place()).await
}

impl Stage {
    pub async fn at(place: Place) -> Stage {
        let rabbit = Rabbit::connect(&place.url).await;
        let outcomes = rabbit.tap(&place.names.results).await;
        let dead = rabbit.tap(&place.names.dead).await;
        Stage {
            place,
            rabbit,
            outcomes,
            dead,
        }
    }

    /// A worker on this stage for the PBX at `pbx_url`, to be adjusted and started.
    pub fn worker(&self, pbx_url: &str) -> WorkerSetup {
        WorkerSetup::new(&self.place, pbx_url)
    }

    /// Publishes a job as the contract asks producers to; its routing key is its PBX queue.
    pub async fn send(&self, job: serde_json::Value) {
        let key = job["queue"].as_str().unwrap_or("_").to_owned();
        let body = job.to_string().into_bytes();
        self.rabbit
            .publish(&self.place.names.jobs, &key, &body, rabbit::json_message())
            .await;
    }
}

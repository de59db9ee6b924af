//! Guards CONTRACT §3 over hours: a PBX that refuses everything, or is not there, for so long that RabbitMQ would lose its
//! patience with jobs held. RabbitMQ's half hour is a second here, so minutes stand for days.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use clockout::pbx::sim::{Options, Sim};
use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Node, Rabbit, Stage, Worker, WorkerSetup, free_port, poll, within};

const JOBS: u32 = 20;

/// How often the PBX is asked in an outage, by probes and by calls about nobody: once a second in the end, so that RabbitMQ would
/// have lost its patience again and again.
const ASKED: usize = 15;

fn job(agent: u32) -> Value {
    json!({"job_id": agent.to_string(), "action": "pause", "queue": "1", "agent": agent.to_string()})
}

/// A node that gives a consumer one second for each job, in place of thirty minutes.
fn impatient_node() -> Node {
    let node = Node::start();
    for (name, ms) in [("consumer_timeout", 1_000), ("channel_tick_interval", 500)] {
        node.ctl(&[
            "eval",
            &format!("application:set_env(rabbit, {name}, {ms})."),
        ]);
    }
    node
}

fn worker(stage: &Stage) -> WorkerSetup {
    let worker = stage.worker().set("jobs.max_age", "0s");
    let worker = worker.set("breaker.hold_max", "300ms");
    worker.set("breaker.cooldown_max", "1s")
}

/// How often the worker has built its connections anew so far.
async fn reconnects(worker: &Worker) -> Option<u64> {
    let metrics = worker.get("/metrics").await?.body;
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("clockout_broker_reconnects_total "))?;
    count.parse().ok()
}

/// What a PBX does in an outage.
#[derive(Clone, Copy)]
enum Outage {
    /// Nobody listens at its address.
    Away,
    /// HTTP 401 to every request.
    Refuses,
}

impl Outage {
    /// Lasts until the PBX at this address was asked often enough.
    async fn last(self, address: SocketAddr, worker: &Worker) {
        match self {
            Self::Away => see_probes(worker).await,
            Self::Refuses => refuse(address).await,
        }
    }
}

/// Sees the worker plan one probe after the other.
async fn see_probes(worker: &Worker) {
    let planned = RefCell::new(BTreeSet::new());
    poll("probes in vain", async || {
        let status: Value = serde_json::from_str(&worker.get("/status").await?.body).ok()?;
        let next = status["breaker"]["next_probe"].as_str()?;
        planned.borrow_mut().insert(next.to_owned());
        (planned.borrow().len() > ASKED).then_some(())
    })
    .await;
}

async fn refuse(address: SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    for _ in 0..ASKED {
        let (mut connection, _) = within("a question", listener.accept()).await.unwrap();
        // Its head and its few agents come in one piece.
        connection.read_buf(&mut Vec::new()).await.unwrap();
        let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        connection.write_all(refusal.as_bytes()).await.unwrap();
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// Jobs go through an outage and are done after it.
async fn outlast(outage: Outage) {
    let node = impatient_node();
    let mut stage = Stage::at(node.place()).await;
    let address = address();
    let worker = worker(&stage).set("pbx.base_url", &format!("http://{address}"));
    let worker = worker.start().await;
    let mut late = job(100);
    late["expires_at"] = json!(jiff::Timestamp::now().to_string());
    stage.send_all((0..JOBS).map(job).chain([late])).await;
    outage.last(address, &worker).await;
    // Had RabbitMQ taken them back, the connections would have been built anew more than this once.
    assert_eq!(reconnects(&worker).await, Some(1));
    let told = stage.outcomes.next().await.json();
    assert_eq!(
        (&told["agent"], &told["code"]),
        (&json!("100"), &json!("expired"))
    );

    let pbx = Sim::start(address, Options::default()).await.unwrap();
    for outcome in stage.outcomes(20).await {
        assert_eq!(outcome["code"], "applied", "{outcome}");
    }
    // One cool-down, and what a busy machine adds; one that went on doubling would be minutes by now.
    let first = pbx.calls(0)[0].at_ms;
    assert!(first < 1_000 + 4_000, "{first} ms without a call");
    assert!(stage.dead.rest().await.is_empty());
    worker.ready().await;
}

#[tokio::test]
async fn however_long_the_pbx_refuses_no_job_is_lost_and_the_first_goes_within_a_cool_down() {
    outlast(Outage::Refuses).await;
}

#[tokio::test]
async fn however_long_the_pbx_is_away_no_job_is_lost_and_none_uses_up_its_attempts() {
    outlast(Outage::Away).await;
}

#[tokio::test]
async fn what_expires_after_it_went_back_says_so_while_the_pbx_is_away() {
    let node = impatient_node();
    let mut stage = Stage::at(node.place()).await;
    let worker = worker(&stage).set("pbx.base_url", &format!("http://{}", address()));
    let worker = worker.start().await;
    let mut waiting = job(100);
    let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    waiting["expires_at"] = json!(expiry.to_string());
    stage.send_all((0..JOBS).map(job).chain([waiting])).await;
    poll("jobs that went back", async || {
        (reconnects(&worker).await? > 0).then_some(())
    })
    .await;
    let told = stage.outcomes.next().await.json();
    assert_eq!(
        (&told["agent"], &told["code"]),
        (&json!("100"), &json!("expired"))
    );
}

#[tokio::test]
async fn however_long_the_pbx_refuses_jobs_are_delivered_once_more_and_no_oftener() {
    wait_out(Outage::Refuses).await;
}

#[tokio::test]
async fn however_long_the_pbx_is_away_jobs_are_delivered_once_more_and_no_oftener() {
    wait_out(Outage::Away).await;
}

/// Jobs wait in an outage that has no end, and RabbitMQ counts their deliveries.
async fn wait_out(outage: Outage) {
    let node = impatient_node();
    let stage = Stage::at(node.place()).await;
    let address = address();
    let worker = worker(&stage).set("pbx.base_url", &format!("http://{address}"));
    let mut worker = worker.start().await;
    stage.send_all((0..JOBS).map(job)).await;
    outage.last(address, &worker).await;
    worker.signal("KILL");
    worker.ended().await;
    assert_eq!(delivery_counts(&stage).await, [1; 20]);
}

/// How often RabbitMQ has counted each waiting job as delivered.
async fn delivery_counts(stage: &Stage) -> Vec<u64> {
    stage.jobs_ready(JOBS).await;
    let rabbit = Rabbit::connect(&stage.place.url).await;
    let channel = rabbit.channel().await;
    let consumer = channel.basic_consume(
        stage.place.names.jobs.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let deliveries = consumer.await.unwrap().take(20).collect::<Vec<_>>();
    let counts = within("the jobs", deliveries)
        .await
        .into_iter()
        .map(|delivery| {
            let properties = delivery.unwrap().properties;
            let headers = properties.headers().clone().unwrap_or_default();
            match headers.inner().get("x-delivery-count") {
                Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap(),
                other => panic!("{other:?}"),
            }
        });
    counts.collect()
}

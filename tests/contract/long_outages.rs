//! Guards CONTRACT §3 over hours: a PBX that refuses everything, or is not there, for so long that RabbitMQ loses its
//! patience with the jobs held. RabbitMQ's half hour is a second here, so minutes stand for days.

use std::net::SocketAddr;

use clockout::pbx::sim::{Options, Sim};
use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::{Node, Rabbit, Stage, Worker, WorkerSetup, free_port, poll, within};

const JOBS: u32 = 20;

/// Times that RabbitMQ takes everything back for being held too long.
const TIMEOUTS: u64 = 5;

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
    worker.set("breaker.cooldown_max", "200ms")
}

/// How often RabbitMQ has taken the jobs back so far.
async fn timeouts(worker: &Worker) -> Option<u64> {
    let metrics = worker.get("/metrics").await?.body;
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("clockout_broker_reconnects_total "))?;
    count.parse().ok()
}

async fn outlast(worker: &Worker) {
    poll("RabbitMQ to lose its patience", async || {
        (timeouts(worker).await? >= TIMEOUTS).then_some(())
    })
    .await;
}

#[tokio::test]
async fn however_long_the_pbx_refuses_no_job_is_lost_and_the_first_goes_within_a_cool_down() {
    let node = impatient_node();
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"call": {"status": {"code": 401}}}}]));
    let worker = worker(&stage).start().await;
    let mut late = job(100);
    late["expires_at"] = json!(jiff::Timestamp::now().to_string());
    stage.send_all((0..JOBS).map(job).chain([late])).await;
    outlast(&worker).await;
    let told = stage.outcomes.next().await.json();
    assert_eq!(
        (&told["agent"], &told["code"]),
        (&json!("100"), &json!("expired"))
    );

    let refused = stage.pbx.calls(0).len();
    assert!(refused > 10, "it went on asking: {refused} calls");
    stage.faults(json!([]));
    for outcome in stage.outcomes(20).await {
        assert_eq!(outcome["code"], "applied", "{outcome}");
    }
    let calls = stage.pbx.calls(0);
    let landed = calls.iter().find(|call| call.status == Some(200)).unwrap();
    let before = calls.iter().filter(|call| call.at_ms < landed.at_ms);
    let gap = landed.at_ms - before.map(|call| call.at_ms).max().unwrap();
    // A cool-down that went on doubling would be minutes by now; a lost connection takes its time on a busy machine.
    assert!(gap < 10_000, "{gap} ms without a call, of 200 ms");
    assert!(stage.dead.rest().await.is_empty());
    worker.ready().await;
}

#[tokio::test]
async fn however_long_the_pbx_is_not_there_no_job_is_lost_and_none_uses_up_its_attempts() {
    let node = impatient_node();
    let mut stage = Stage::at(node.place()).await;
    let port = free_port();
    let worker = worker(&stage).set("pbx.base_url", &format!("http://127.0.0.1:{port}"));
    let worker = worker.start().await;
    stage.send_all((0..JOBS).map(job)).await;
    outlast(&worker).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _pbx = Sim::start(address, Options::default()).await.unwrap();
    for outcome in stage.outcomes(20).await {
        assert_eq!(outcome["code"], "applied", "{outcome}");
    }
    assert!(stage.dead.rest().await.is_empty());
    worker.ready().await;
}

#[tokio::test]
async fn waiting_costs_a_delivery_only_where_rabbitmq_takes_the_jobs_back() {
    let node = impatient_node();
    let stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"call": {"status": {"code": 401}}}}]));
    let mut worker = worker(&stage).start().await;
    stage.send_all((0..JOBS).map(job)).await;
    outlast(&worker).await;
    let taken_back = timeouts(&worker).await.unwrap();
    worker.signal("KILL");
    worker.ended().await;
    let probes = stage.pbx.calls(0).len();
    let counts = delivery_counts(&stage).await;
    println!("{taken_back} timeouts, {probes} probes, deliveries counted: {counts:?}");
    // One more for the kill, and one for a timeout since we looked.
    assert!(
        counts.iter().all(|count| *count <= taken_back + 2),
        "{counts:?}"
    );
    assert!(
        u64::try_from(probes).unwrap() > taken_back + 2,
        "{probes} probes"
    );
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

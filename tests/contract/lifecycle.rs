//! Guards CONTRACT §8 for `run`: exit codes, signals, and that no end of a worker or its broker loses a job.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::{Node, Rabbit, Stage, poll, stage};

fn job(agent: u32) -> Value {
    let agent = agent.to_string();
    json!({"job_id": agent, "action": "pause", "queue": "1", "agent": agent})
}

/// Waits until the PBX has a call that it does not answer.
async fn call_under_way(stage: &Stage) {
    poll("a call under way", async || {
        let calls = stage.pbx.calls(0);
        calls
            .iter()
            .any(|call| call.ended_ms.is_none())
            .then_some(())
    })
    .await;
}

fn hang(stage: &Stage) {
    stage.faults(json!([{"effect": {"call": {"hang": {"applied": false}}}}]));
}

#[tokio::test]
async fn wrong_settings_are_all_named_and_end_with_2() {
    let stage = stage().await;
    let worker = stage
        .worker()
        .set("batch.linger", "soon")
        .set("pbx.base_url", "ftp://pbx");
    let mut worker = worker.spawn();
    assert_eq!(worker.ended().await.code(), Some(2));
    let log = worker.log();
    for key in ["batch.linger", "pbx.base_url"] {
        assert!(log.contains(key), "{key} in {log}");
    }
}

#[tokio::test]
async fn what_is_found_unusable_only_at_start_ends_it_with_1() {
    let stage = stage().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&ca, pem).unwrap();
    let worker = stage.worker().set("pbx.base_url", "https://localhost");
    let mut worker = worker.set("pbx.ca_file", ca.to_str().unwrap()).spawn();
    assert_eq!(worker.ended().await.code(), Some(1));
    assert!(worker.log().contains("TLS"), "{}", worker.log());
}

#[tokio::test]
async fn a_queue_that_stands_with_other_arguments_is_named_and_ends_with_1() {
    let stage = stage().await;
    let channel = stage.rabbit.channel().await;
    let jobs = stage.place.names.jobs.as_str();
    // As the worker wants it, save for one argument.
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", &stage.place.names.dead),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        let value = AMQPValue::LongString(value.into());
        arguments.insert(name.into(), value);
    }
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(7));
    let options = QueueDeclareOptions::durable();
    channel
        .queue_declare(jobs.into(), options, arguments)
        .await
        .unwrap();
    let mut worker = stage.worker().spawn();
    assert_eq!(worker.ended().await.code(), Some(1));
    let log = worker.log();
    for word in [jobs, "x-delivery-limit", "7", "100"] {
        assert!(log.contains(word), "{word} in {log}");
    }
}

#[tokio::test]
async fn when_the_grace_is_over_what_is_left_goes_back_to_the_broker_and_it_ends_with_3() {
    let stage = stage().await;
    hang(&stage);
    let mut worker = stage.worker().set("shutdown.grace", "200ms").start().await;
    stage.send(job(1)).await;
    call_under_way(&stage).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(3));
    stage.jobs_ready(1).await;
}

#[tokio::test]
async fn when_the_grace_is_over_no_job_that_was_still_to_be_looked_at_is_called_either() {
    let stage = stage().await;
    hang(&stage);
    let worker = stage.worker().set("shutdown.grace", "200ms");
    let mut worker = worker.set("jobs.prefetch", "2").start().await;
    // The first has as many agents as may be held, so the second waits in the worker for its turn.
    let first = json!({"action": "pause", "queue": "10000", "agents": ["1", "2"]});
    stage.send_all([first, job(3)]).await;
    call_under_way(&stage).await;
    stage.jobs_ready(0).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(3));
    stage.jobs_ready(2).await;
    assert_eq!(stage.pbx.calls(0).len(), 1);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_with_3() {
    let stage = stage().await;
    hang(&stage);
    let mut worker = stage
        .worker()
        .set("shutdown.grace", "10m")
        .set("pbx.timeout", "10m")
        .start()
        .await;
    stage.send(job(1)).await;
    call_under_way(&stage).await;
    worker.signal("INT");
    worker.answers("/readyz", 503).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(3));
    stage.jobs_ready(1).await;
}

#[tokio::test]
async fn a_killed_worker_leaves_its_jobs_to_the_next() {
    let mut stage = stage().await;
    hang(&stage);
    let mut worker = stage.worker().start().await;
    stage.send_all((1..=3).map(job)).await;
    call_under_way(&stage).await;
    worker.signal("KILL");
    worker.ended().await;
    stage.faults(json!([]));
    let _next = stage.worker().start().await;
    for outcome in stage.outcomes(3).await {
        assert_eq!(outcome["code"], "applied");
    }
}

#[tokio::test]
async fn a_worker_started_before_its_broker_waits_for_it() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    node.stop();
    let worker = stage.worker().spawn();
    worker.answers("/readyz", 503).await;
    node.start_again();
    worker.ready().await;
}

#[tokio::test]
async fn a_job_whose_call_was_under_way_when_the_broker_went_away_is_done_once() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    let worker = stage.worker().start().await;
    stage.faults(json!([{"effect": {"latency": {"ms": 1500}}}]));
    stage.send(job(1)).await;
    call_under_way(&stage).await;
    node.stop();
    node.start_again();
    worker.ready().await;
    let rabbit = Rabbit::connect(&stage.place.url).await;
    poll("the outcome in the catch-all", async || {
        (rabbit.depth(&stage.place.names.results).await == Some(1)).then_some(())
    })
    .await;
    assert_eq!(stage.calls().len(), 1);
}

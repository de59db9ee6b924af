//! Guards what integrators copy: the producers and consumers in `examples/`, each language against a real broker and the
//! real worker. A language that is not installed here is left out, and said to be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exit,
    clippy::match_wild_err_arm,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should panic and say where"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read their environment and measure real time"
)]

mod program;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "it serves other tests too"
)]
#[path = "../support/mod.rs"]
mod support;

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use program::{Consumer, prepare, produce};
use serde_json::json;
use support::{Stage, left_out, stage};

#[tokio::test]
async fn the_php_examples_play_their_parts() {
    play("php").await;
}

#[tokio::test]
async fn the_python_examples_play_their_parts() {
    play("python").await;
}

#[tokio::test]
async fn the_javascript_examples_play_their_parts() {
    play("javascript").await;
}

#[tokio::test]
async fn the_rust_examples_play_their_parts() {
    play("rust").await;
}

async fn play(language: &str) {
    if let Err(why) = prepare(language) {
        let need = match language {
            "javascript" => "node",
            other => other,
        };
        return left_out(need, &format!("the examples in {language}"), why);
    }
    let mut stage = stage().await;
    let outcomes = format!("{}.{language}", stage.place.names.results);
    let broken = json!({"item": {"fail": {"text": "Device is broken"}}});
    stage.faults(json!([{"match": {"agent": "553"}, "effect": broken}]));
    let _worker = stage.worker().start().await;

    each_outcome_is_handled_once(&mut stage, language, &outcomes).await;
    a_job_that_no_queue_takes_is_noticed(&stage, language).await;
    to_order_nothing_is_a_mistake(&stage, language);

    let channel = stage.rabbit.channel().await;
    let options = QueueDeleteOptions::default();
    channel
        .queue_delete(outcomes.into(), options)
        .await
        .unwrap();
}

async fn each_outcome_is_handled_once(stage: &mut Stage, language: &str, outcomes: &str) {
    let mut consumer = Consumer::start(&stage.place, language, &[outcomes, "*.*.default.*", "3"]);
    assert_eq!(consumer.line().await, "listening");
    let jobs = &stage.place.names.jobs.clone();
    // The same job twice, which is told twice.
    for _ in 0..2 {
        let order = ["shift-2291", "pause", "10000:570,553"];
        let sent = produce(&stage.place, language, jobs, &order);
        assert_eq!(sent.out, "confirmed: 1 of 1 jobs\n", "{}", sent.err);
        assert!(sent.succeeded);
        for outcome in stage.outcomes(2).await {
            assert_eq!(outcome["correlation_id"], "shift-2291");
            assert_eq!(outcome["job_id"], "shift-2291/10000/pause");
        }
    }
    let orders = ["shift-2291", "remove", "10001:602"];
    assert!(produce(&stage.place, language, jobs, &orders).succeeded);

    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(consumer.line().await);
    }
    heard.sort();
    let told = [
        "pause 10000/553: failed, rejected: Device is broken",
        "pause 10000/570: succeeded, applied: Paused successfully",
        "remove 10001/602: succeeded, applied: Removed successfully",
    ];
    assert_eq!(heard, told);
    assert!(consumer.ended().await, "{language}: the consumer failed");
    let left = stage.rabbit.depth(outcomes).await;
    assert_eq!(left, Some(0), "what was handled is acknowledged");
}

async fn a_job_that_no_queue_takes_is_noticed(stage: &Stage, language: &str) {
    let nowhere = format!("{}.nowhere-{language}", stage.place.names.jobs);
    let channel = stage.rabbit.channel().await;
    channel
        .exchange_declare(
            nowhere.as_str().into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let orders = ["shift-2291", "pause", "10000:570", "10001:602"];
    let sent = produce(&stage.place, language, &nowhere, &orders);
    assert!(!sent.succeeded);
    assert_eq!(sent.out, "confirmed: 0 of 2 jobs\n");
    for id in ["shift-2291/10000/pause", "shift-2291/10001/pause"] {
        assert!(sent.err.contains(id), "{id} in {}", sent.err);
    }
    assert!(sent.err.contains("no queue takes it"), "{}", sent.err);
    let options = ExchangeDeleteOptions::default();
    channel
        .exchange_delete(nowhere.into(), options)
        .await
        .unwrap();
}

fn to_order_nothing_is_a_mistake(stage: &Stage, language: &str) {
    let jobs = &stage.place.names.jobs;
    let sent = produce(&stage.place, language, jobs, &["shift-2291", "pause"]);
    assert!(!sent.succeeded, "{}", sent.out);
    let said = sent.err;
    assert!(said.contains("QUEUE:AGENT"), "how to use it: {said}");
}

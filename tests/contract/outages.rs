//! Guards CONTRACT §3 where the PBX does not answer, or asks to be left alone for a while.

use std::net::SocketAddr;

use clockout::pbx::sim::{Options, Sim};
use serde_json::json;

use crate::support::{free_port, stage};

#[tokio::test]
async fn a_retry_after_holds_back_every_call() {
    // A date is cut to whole seconds, so two of them are at least one.
    for retry_after in [json!({"seconds": 1}), json!({"date_in": 2})] {
        let mut stage = stage().await;
        stage.faults(json!([{
            "match": {"queue": "1"}, "times": 1,
            "effect": {"call": {"status": {"code": 503, "retry_after": retry_after}}},
        }]));
        let _worker = stage.worker().start().await;
        stage
            .send(json!({"action": "pause", "queue": "1", "agent": "1"}))
            .await;
        stage.called(1).await;
        stage
            .send(json!({"action": "pause", "queue": "2", "agent": "2"}))
            .await;
        for outcome in stage.outcomes(2).await {
            let attempts = if outcome["queue"] == "1" { 2 } else { 1 };
            assert_eq!(outcome["attempts"], attempts, "{outcome}");
        }
        let calls = stage.pbx.calls(0);
        let told = calls[0].ended_ms.unwrap();
        for call in &calls[1..] {
            let waited_ms = call.at_ms - told;
            assert!(waited_ms >= 950, "{waited_ms} ms of {retry_after}");
        }
    }
}

#[tokio::test]
async fn a_pbx_that_is_not_there_yet_is_waited_for() {
    let mut stage = stage().await;
    let port = free_port();
    let worker = stage
        .worker()
        .set("pbx.base_url", &format!("http://127.0.0.1:{port}"))
        .set("breaker.failures", "2");
    let worker = worker.start().await;
    stage
        .send(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    worker.answers("/readyz", 503).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _pbx = Sim::start(address, Options::default()).await.unwrap();
    let outcome = &stage.outcomes(1).await[0];
    assert_eq!(outcome["code"], "applied");
    assert!(outcome["attempts"].as_u64() > Some(2), "{outcome}");
}

#[tokio::test]
async fn a_call_without_an_answer_may_have_been_applied() {
    let mut stage = stage().await;
    let worker = stage.worker().set("pbx.timeout", "500ms");
    let _worker = worker.start().await;
    for (action, applied, code) in [
        ("remove", true, "presumed_applied"),
        ("remove", false, "applied"),
        ("pause", true, "applied"),
    ] {
        stage.faults(json!([{"times": 1, "effect": {"call": {"hang": {"applied": applied}}}}]));
        let queue = format!("{action}-{applied}");
        let job = json!({"action": action, "queue": queue, "agent": "1"});
        let outcome = stage.perform(job).await;
        assert_eq!(outcome["code"], code, "{outcome}");
        assert_eq!(outcome["attempts"], 2);
    }
}

//! Guards the actions of the admin side: an operator who knows the token pauses, resumes, closes the breaker, flushes a PBX
//! queue; nobody else does; and the log says who did.

use serde_json::{Value, json};

use crate::support::{Stage, Worker, WorkerSetup, poll, stage};

const TOKEN: &str = "a-token-of-this-test";
const SARA: &str = r#"{"who": "Sara"}"#;

fn job(id: &str, queue: &str) -> Value {
    json!({"job_id": id, "action": "pause", "queue": queue, "agent": "570"})
}

fn with_actions(stage: &Stage) -> WorkerSetup {
    let worker = stage.worker().set("http.actions", "true");
    worker.set("http.actions_token", TOKEN)
}

async fn done(worker: &Worker, action: &str, body: &str) -> String {
    let answer = worker.act(action, TOKEN, body).await;
    assert_eq!(answer.status, 200, "{action}: {}", answer.body);
    let done: Value = serde_json::from_str(&answer.body).unwrap();
    done["done"].as_str().unwrap().to_owned()
}

/// The log has this line, and it says who wanted it.
fn logged(worker: &Worker, words: &str) {
    let expected = format!("{words}, as Sara asked from 127.0.0.1:");
    let log = worker.log();
    assert!(log.contains(&expected), "no {expected:?} in\n{log}");
}

#[tokio::test]
async fn a_paused_worker_leaves_jobs_in_rabbitmq_until_it_is_resumed() {
    let mut stage = stage().await;
    let worker = with_actions(&stage).start().await;
    stage.perform(job("before", "1")).await;
    done(&worker, "pause", SARA).await;
    let why = worker.answers("/readyz", 503).await;
    assert!(why.contains("paused"), "{why}");
    assert!(
        worker
            .get("/status")
            .await
            .unwrap()
            .body
            .contains(r#""paused":true"#)
    );
    poll("the end of the subscription", async || {
        let status = worker.get("/status").await?.body;
        status.contains(r#""subscribed":false"#).then_some(())
    })
    .await;
    stage.send(job("meanwhile", "1")).await;
    stage.jobs_ready(1).await;
    assert_eq!(done(&worker, "resume", SARA).await, "consuming is resumed");
    assert_eq!(stage.outcomes.next().await.json()["job_id"], "meanwhile");
    worker.ready().await;
    logged(&worker, "consuming is paused; what is held goes on");
    logged(&worker, "consuming is resumed");
}

#[tokio::test]
async fn a_flush_lets_what_waits_on_that_queue_leave_at_once() {
    let mut stage = stage().await;
    let worker = with_actions(&stage)
        .set("batch.linger", "10m")
        .start()
        .await;
    for queue in ["10000", "20000"] {
        stage.send(job(queue, queue)).await;
    }
    worker.shows("clockout_jobs_held 2").await;
    let flush = r#"{"who": "Sara", "queue": "20000"}"#;
    let said = done(&worker, "flush", flush).await;
    assert_eq!(said, "queue 20000 is flushed: 1 agent waited");
    assert_eq!(stage.outcomes.next().await.json()["queue"], "20000");
    worker
        .shows(r#"clockout_batch_agents_count{action="pause",cause="flush"} 1"#)
        .await;
    worker.shows("clockout_jobs_held 1").await;
    assert_eq!(stage.calls().len(), 1);
    logged(&worker, &said);
}

#[tokio::test]
async fn an_open_breaker_that_is_told_to_close_calls_at_once() {
    let mut stage = stage().await;
    let unauthorized =
        json!({"match": {}, "times": 1, "effect": {"call": {"status": {"code": 401}}}});
    stage.faults(json!([unauthorized]));
    let worker = with_actions(&stage).set("breaker.cooldown", "1h");
    let worker = worker.set("breaker.cooldown_max", "1h").start().await;
    stage.send(job("a", "1")).await;
    worker.shows("clockout_breaker_open 1").await;
    let said = done(&worker, "close-breaker", SARA).await;
    assert_eq!(said, "the breaker is closed, calls are made again");
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    logged(&worker, &said);
    let said = done(&worker, "close-breaker", SARA).await;
    assert_eq!(said, "the breaker was closed already");
}

#[tokio::test]
async fn nobody_acts_without_the_token_or_without_a_name() {
    let stage = stage().await;
    let worker = with_actions(&stage).start().await;
    let refused = async |action, token, body, status| {
        let answer = worker.act(action, token, body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.starts_with(r#"{"error":""#), "{}", answer.body);
    };
    refused("pause", "a-token-of-another", SARA, 401).await;
    refused("pause", "", SARA, 401).await;
    refused("pause", TOKEN, "", 400).await;
    refused("pause", TOKEN, r#"{"who": ""}"#, 400).await;
    refused("pause", TOKEN, r#"{"who": "a\nforged line"}"#, 400).await;
    refused("flush", TOKEN, SARA, 400).await;
    refused("flush", TOKEN, r#"{"who": "Sara", "queue": "1 0"}"#, 400).await;
    refused("restart", TOKEN, SARA, 404).await;
    assert_eq!(worker.get("/actions/pause").await.unwrap().status, 405);
    worker.ready().await;
    let log = worker.log();
    assert!(log.contains("without the right token"), "{log}");
    assert!(
        !log.contains("a-token-of") && !log.contains("forged"),
        "{log}"
    );
}

#[tokio::test]
async fn where_actions_are_off_no_token_helps() {
    let stage = stage().await;
    let worker = stage
        .worker()
        .set("http.actions_token", TOKEN)
        .start()
        .await;
    assert_eq!(worker.act("pause", TOKEN, SARA).await.status, 403);
    assert_eq!(worker.act("pause", "", SARA).await.status, 403);
    worker.ready().await;
}

//! Guards CONTRACT §4 where jobs of one agent meet: rules 3, 5 and 6, and the acknowledgements of rule 8.

use std::collections::BTreeMap;

use clockout::pbx::sim::Verb;
use serde_json::{Value, json};

use crate::support::{Stage, stage};

fn job(id: &str, action: &str) -> Value {
    json!({"job_id": id, "action": action, "queue": "1", "agent": "1"})
}

/// A job asked for at this minute.
fn asked_at(minute: u8, id: &str, action: &str) -> Value {
    let mut job = job(id, action);
    job["requested_at"] = json!(format!("2026-11-21T18:{minute:02}:00Z"));
    job
}

fn actions(stage: &Stage) -> Vec<Verb> {
    stage.calls().into_iter().map(|call| call.0).collect()
}

/// Job id, code and `superseded_by` of the next outcomes, by job id.
async fn ends(stage: &mut Stage, count: usize) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let outcomes = stage.outcomes(count).await.into_iter();
    let ends = outcomes.map(|it| {
        (
            text(&it["job_id"]),
            text(&it["code"]),
            it["superseded_by"].clone(),
        )
    });
    let mut ends: Vec<_> = ends.collect();
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    ends
}

fn end(id: &str, code: &str) -> (String, String, Value) {
    (id.to_owned(), code.to_owned(), Value::Null)
}

fn superseded(id: &str, by: &str) -> (String, String, Value) {
    (id.to_owned(), "superseded".to_owned(), json!(by))
}

#[tokio::test]
async fn a_remove_waits_for_a_pause_that_is_under_way() {
    let mut stage = stage().await;
    stage.faults(json!([{"times": 1, "effect": {"latency": {"ms": 300}}}]));
    let _worker = stage.worker().set("batch.linger", "0s").start().await;
    stage.send(job("p", "pause")).await;
    stage.called(1).await;
    stage.send(job("r", "remove")).await;
    let applied = [end("p", "applied"), end("r", "applied")];
    assert_eq!(ends(&mut stage, 2).await, applied);
    assert_eq!(actions(&stage), [Verb::Pause, Verb::Remove]);
    assert_eq!(stage.pbx.stats().total.max_in_flight, 1);
}

#[tokio::test]
async fn a_remove_replaces_every_pause_that_waits() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("batch.linger", "1s").start().await;
    stage
        .send_all([job("p1", "pause"), job("p2", "pause"), job("r", "remove")])
        .await;
    let expected = [superseded("p1", "r"), superseded("p2", "r")];
    let ends = ends(&mut stage, 3).await;
    assert_eq!(ends[..2], expected);
    assert_eq!(actions(&stage), [Verb::Remove]);
}

#[tokio::test]
async fn a_replaced_pause_is_carried_out_however_else_the_remove_ends() {
    let missing = json!({"item": {"missing": {}}});
    let dropped = json!({"call": "drop_before"});
    let refused = json!({"item": {"fail": {"text": "no idea"}}});
    for (effect, code) in [
        (missing, "unreported"),
        (dropped, "ambiguous"),
        (refused, "rejected"),
    ] {
        let mut stage = stage().await;
        stage.faults(json!([{"match": {"action": "remove"}, "effect": effect}]));
        let worker = stage
            .worker()
            .set("batch.linger", "1s")
            .set("retry.attempts_max", "2")
            .set("breaker.failures", "100");
        let _worker = worker.start().await;
        stage
            .send_all([job("p", "pause"), job("r", "remove")])
            .await;
        assert_eq!(
            ends(&mut stage, 2).await,
            [end("p", "applied"), end("r", code)]
        );
        assert_eq!(actions(&stage), [Verb::Remove, Verb::Remove, Verb::Pause]);
    }
}

#[tokio::test]
async fn a_replaced_pause_is_carried_out_if_the_remove_expires() {
    let mut stage = stage().await;
    stage.faults(json!([{"times": 1, "effect": {"call": {"status": {"code": 503}}}}]));
    let worker = stage
        .worker()
        .set("batch.linger", "1s")
        .set("jobs.max_age", "2s")
        .set("breaker.failures", "1")
        .set("breaker.cooldown", "3s");
    let _worker = worker.start().await;
    let mut pause = job("p", "pause");
    pause["expires_at"] = json!("2100-01-01T00:00:00Z");
    stage.send_all([pause, job("r", "remove")]).await;
    assert_eq!(
        ends(&mut stage, 2).await,
        [end("p", "applied"), end("r", "expired")]
    );
    assert_eq!(actions(&stage), [Verb::Remove, Verb::Pause]);
}

#[tokio::test]
async fn a_remove_older_than_the_waiting_pause_replaces_nothing() {
    let mut stage = stage().await;
    let worker = stage.worker().set("batch.linger", "1s");
    let _worker = worker.set("jobs.max_age", "0s").start().await;
    stage
        .send_all([asked_at(10, "p", "pause"), asked_at(9, "r", "remove")])
        .await;
    let expected = [end("p", "applied"), superseded("r", "p")];
    assert_eq!(ends(&mut stage, 2).await, expected);
    assert_eq!(actions(&stage), [Verb::Pause]);
}

#[tokio::test]
async fn of_two_jobs_asked_for_at_once_neither_is_stale() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("jobs.max_age", "0s").start().await;
    for (id, action) in [("p", "pause"), ("r", "remove"), ("later", "pause")] {
        stage.send(asked_at(10, id, action)).await;
        assert_ne!(stage.outcomes(1).await[0]["status"], "superseded");
    }
    assert_eq!(actions(&stage), [Verb::Pause, Verb::Remove, Verb::Pause]);
}

#[tokio::test]
async fn a_crash_never_brings_back_an_earlier_job_alone() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"call": {"hang": {}}}}]));
    let worker = stage
        .worker()
        .set("jobs.max_age", "0s")
        .set("pbx.timeout", "10m");
    let mut worker = worker.start().await;
    stage.send(asked_at(10, "earlier", "pause")).await;
    stage.called(1).await;
    stage.send(asked_at(9, "stale", "pause")).await;
    assert_eq!(ends(&mut stage, 1).await, [superseded("stale", "earlier")]);
    worker.signal("KILL");
    worker.ended().await;
    stage.jobs_ready(2).await;
}

#[tokio::test]
async fn a_pause_that_comes_back_takes_nobody_elses_place() {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {"action": "remove"}, "effect": {"latency": {"ms": 500}}},
        {"match": {"action": "remove"}, "effect": {"item": {"fail": {"text": "not dynamic"}}}},
    ]));
    let _worker = stage.worker().set("batch.linger", "500ms").start().await;
    stage
        .send_all([job("p", "pause"), job("r", "remove")])
        .await;
    stage.called(1).await;
    let mut other = job("q", "pause");
    other["agent"] = json!("2");
    stage.send(other).await;
    let expected = [
        end("p", "applied"),
        end("q", "applied"),
        end("r", "not_dynamic"),
    ];
    assert_eq!(ends(&mut stage, 3).await, expected);
}

/// They are published on several channels, among which RabbitMQ keeps no order.
#[tokio::test]
async fn what_was_done_for_an_agent_is_told_in_the_order_in_which_it_was_done() {
    const AGENTS: usize = 200;
    const EACH: usize = 6;
    let mut stage = stage().await;
    let _worker = stage.worker().set("batch.linger", "0s").start().await;
    let jobs = (0..AGENTS * EACH).map(|number| {
        let (turn, agent) = (number / AGENTS, number % AGENTS + 1);
        let action = if turn % 2 == 0 { "remove" } else { "pause" };
        let queue = (agent % 5 + 1).to_string();
        json!({"job_id": turn.to_string(), "action": action, "queue": queue, "agent": agent.to_string()})
    });
    stage.send_all(jobs).await;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome in stage.outcomes(AGENTS * EACH).await {
        if outcome["status"] == "succeeded" {
            let agent = told.entry(outcome["agent"].to_string()).or_default();
            agent.push(outcome["job_id"].to_string());
        }
    }
    assert_eq!(told.len(), AGENTS);
    for (agent, turns) in told {
        assert!(turns.is_sorted(), "agent {agent}: {turns:?}");
    }
}

//! Guards CONTRACT §4.7: a job seen again is told again and not done again.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Node, Stage, poll, stage};

fn job(id: &str, action: &str, agent: &str) -> Value {
    json!({"job_id": id, "action": action, "queue": "1", "agent": agent})
}

#[tokio::test]
async fn a_repeat_of_a_job_that_still_waits_shares_its_end() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("batch.linger", "1s").start().await;
    stage
        .send_all([job("j", "pause", "1"), job("j", "pause", "1")])
        .await;
    let outcomes = stage.outcomes(2).await;
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn a_failure_told_again_is_the_same_failure() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "not dynamic"}}}}]));
    let _worker = stage.worker().start().await;
    let first = stage.perform(job("j", "pause", "1")).await;
    stage.faults(json!([]));
    let again = stage.perform(job("j", "pause", "1")).await;
    assert_eq!(first, again);
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn a_job_id_used_for_something_else_is_a_job_of_its_own() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let mut elsewhere = job("j", "pause", "1");
    elsewhere["queue"] = json!("2");
    let mut ids = BTreeSet::new();
    for job in [
        job("j", "pause", "1"),
        job("j", "pause", "2"),
        elsewhere,
        job("j", "remove", "1"),
    ] {
        let outcome = stage.perform(job).await;
        assert_eq!(outcome["code"], "applied");
        ids.insert(outcome["outcome_id"].to_string());
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn after_the_window_a_job_id_means_new_work() {
    let mut stage = stage().await;
    let worker = stage.worker().set("jobs.dedup_window", "0s");
    let worker = worker.start().await;
    for count in [1, 2] {
        stage.perform(job("j", "pause", "1")).await;
        assert_eq!(stage.calls().len(), count);
        // Until it is acknowledged, a job is still held, and another one like it a repeat.
        let line = format!("clockout_jobs_settled_total{{disposition=\"ack\"}} {count}");
        worker.shows(&line).await;
    }
}

#[tokio::test]
async fn a_batch_that_holds_old_and_new_agents_calls_only_the_new_ones() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let agents =
        |agents: &[&str]| json!({"job_id": "j", "action": "pause", "queue": "1", "agents": agents});
    stage.perform(agents(&["1"])).await;
    stage.send(agents(&["1", "2"])).await;
    stage.outcomes(2).await;
    let called: Vec<_> = stage.calls().into_iter().map(|call| call.1).collect();
    assert_eq!(called, [["1"], ["2"]]);
}

#[tokio::test]
async fn what_rabbitmq_delivers_again_after_lost_connections_is_done_once() {
    const AGENTS: usize = 300;
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"latency": {"ms": 100}}}]));
    let worker = stage.worker().set("batch.max_agents", "10").start().await;
    let jobs = (0..AGENTS).map(|number| {
        let queue = (number % 3).to_string();
        json!({"job_id": number.to_string(), "action": "pause", "queue": queue, "agent": number.to_string()})
    });
    stage.send_all(jobs).await;
    for calls in [2, 6, 12] {
        stage.called(calls).await;
        node.close_all_connections();
    }
    let called = || stage.calls().into_iter().flat_map(|call| call.1);
    poll("every agent called", async || {
        (called().count() >= AGENTS).then_some(())
    })
    .await;
    worker.ready().await;
    worker.shows("clockout_jobs_held 0").await;
    assert_eq!(called().count(), AGENTS, "some agents were called twice");
    assert_eq!(called().collect::<BTreeSet<_>>().len(), AGENTS);
}

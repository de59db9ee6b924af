//! Guards CONTRACT §4: how jobs are gathered into calls, and in which order what happens to one agent happens.

use std::collections::BTreeSet;

use clockout::pbx::sim::Verb;
use serde_json::{Value, json};

use crate::support::{Stage, WorkerSetup, stage};

/// A worker whose batches leave when they hold `agents`, and not before.
fn patient(stage: &Stage, agents: u32) -> WorkerSetup {
    stage
        .worker()
        .set("batch.linger", "1m")
        .set("batch.max_agents", &agents.to_string())
}

fn job(id: &str, action: &str, agent: &str) -> Value {
    json!({"job_id": id, "action": action, "queue": "1", "agent": agent})
}

fn by_job(outcomes: Vec<Value>, id: &str) -> Value {
    let found = outcomes.into_iter().find(|outcome| outcome["job_id"] == id);
    found.expect("an outcome of this job")
}

#[tokio::test]
async fn a_batch_leaves_when_it_is_full() {
    let mut stage = stage().await;
    let _worker = patient(&stage, 3).start().await;
    stage
        .send_all(["1", "2", "3"].map(|agent| job(agent, "pause", agent)))
        .await;
    for outcome in stage.outcomes(3).await {
        assert_eq!(outcome["batch"]["size"], 3);
    }
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn a_batch_leaves_when_its_oldest_job_has_waited_long_enough() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let outcome = stage.perform(job("j", "pause", "1")).await;
    assert_eq!(outcome["batch"]["size"], 1);
}

#[tokio::test]
async fn a_batch_leaves_when_a_drain_begins() {
    let mut stage = stage().await;
    let mut worker = patient(&stage, 50).start().await;
    stage.send(job("j", "pause", "1")).await;
    worker.shows("clockout_jobs_held 1").await;
    worker.signal("TERM");
    assert_eq!(stage.outcomes(1).await[0]["code"], "applied");
    assert_eq!(worker.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_batch_leaves_when_prefetch_is_used_up() {
    let mut stage = stage().await;
    let worker = patient(&stage, 50).set("jobs.prefetch", "2");
    let worker = worker.start().await;
    stage
        .send_all(["1", "2", "3", "4"].map(|agent| job(agent, "pause", agent)))
        .await;
    for outcome in stage.outcomes(4).await {
        assert_eq!(outcome["batch"]["size"], 2);
    }
    let left = r#"clockout_batch_agents_count{action="pause",cause="prefetch"} 2"#;
    worker.shows(left).await;
}

#[tokio::test]
async fn while_a_call_is_under_way_the_queues_jobs_gather_for_the_next() {
    let mut stage = stage().await;
    stage.faults(json!([{"times": 1, "effect": {"latency": {"ms": 1000}}}]));
    let worker = stage.worker().set("batch.linger", "0s").start().await;
    stage.send(job("first", "pause", "1")).await;
    stage.called(1).await;
    stage
        .send_all(["2", "3", "4"].map(|agent| job(agent, "pause", agent)))
        .await;
    worker.shows("clockout_jobs_held 4").await;
    stage.outcomes(4).await;
    let sizes: Vec<usize> = stage.calls().iter().map(|call| call.1.len()).collect();
    assert_eq!(sizes, [1, 3]);
}

#[tokio::test]
async fn no_queue_starves_another() {
    let mut stage = stage().await;
    stage.faults(json!([{"times": 1, "effect": {"latency": {"ms": 1000}}}]));
    let worker = stage
        .worker()
        .set("batch.max_agents", "1")
        .set("pbx.max_in_flight", "1");
    let worker = worker.start().await;
    let many = (0..30).map(|n| json!({"action": "pause", "queue": "1", "agent": n.to_string()}));
    stage.send_all(many).await;
    let one = json!({"action": "pause", "queue": "2", "agent": "1"});
    stage.send(one).await;
    worker.shows("clockout_jobs_held 31").await;
    stage.outcomes(31).await;
    let calls = stage.pbx.calls(0);
    let turn = calls.iter().position(|call| call.queues == ["2"]);
    assert!(turn <= Some(2), "after {turn:?} calls");
}

#[tokio::test]
async fn calls_are_one_at_a_time_per_pbx_queue_and_bounded_over_all() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"latency": {"ms": 30}}}]));
    let worker = stage
        .worker()
        .set("batch.max_agents", "2")
        .set("pbx.max_in_flight", "2");
    let _worker = worker.start().await;
    let jobs = (0..36).map(|n| {
        let (queue, agent) = ((n % 6).to_string(), n.to_string());
        json!({"action": "pause", "queue": queue, "agent": agent})
    });
    stage.send_all(jobs).await;
    stage.outcomes(36).await;
    let stats = stage.pbx.stats();
    assert_eq!(stats.total.max_in_flight, 2);
    for (queue, load) in stats.queues {
        assert_eq!(load.max_in_flight, 1, "queue {queue}");
    }
}

#[tokio::test]
async fn what_happens_to_one_agent_happens_in_the_order_of_its_jobs() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {"agent": "1"}, "times": 2, "effect": {"item": {"fail": {"text": "busy"}}}}]));
    let _worker = stage.worker().start().await;
    stage
        .send_all([job("a", "remove", "1"), job("b", "pause", "1")])
        .await;
    stage.outcomes(2).await;
    let actions: Vec<Verb> = stage.calls().into_iter().map(|call| call.0).collect();
    let removes = [Verb::Remove; 3];
    assert_eq!(
        actions[..3],
        removes,
        "the pause waits until the remove is done"
    );
    assert_eq!(actions[3..], [Verb::Pause]);
}

#[tokio::test]
async fn jobs_that_want_the_same_share_one_entry_and_get_an_outcome_each() {
    let mut stage = stage().await;
    let _worker = patient(&stage, 2).start().await;
    stage
        .send_all([
            job("a", "pause", "1"),
            job("b", "pause", "1"),
            job("c", "pause", "2"),
        ])
        .await;
    let outcomes = stage.outcomes(3).await;
    let ids: BTreeSet<String> = outcomes
        .iter()
        .map(|it| it["outcome_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        stage.calls(),
        [(Verb::Pause, vec!["1".to_owned(), "2".to_owned()])]
    );
}

#[tokio::test]
async fn a_remove_replaces_a_pause_that_still_waits() {
    let mut stage = stage().await;
    let _worker = patient(&stage, 2).start().await;
    stage
        .send_all([
            job("p", "pause", "1"),
            job("r", "remove", "1"),
            job("other", "remove", "2"),
        ])
        .await;
    let pause = by_job(stage.outcomes(3).await, "p");
    assert_eq!(
        (&pause["status"], &pause["superseded_by"]),
        (&json!("superseded"), &json!("r"))
    );
    assert_eq!(pause["attempts"], 0);
    assert_eq!(
        stage.calls(),
        [(Verb::Remove, vec!["1".to_owned(), "2".to_owned()])]
    );
}

#[tokio::test]
async fn a_replaced_pause_is_carried_out_after_all_if_the_remove_fails() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {"action": "remove"}, "effect": {"item": {"fail": {"text": "not dynamic"}}}}]));
    let _worker = stage.worker().set("batch.linger", "500ms").start().await;
    stage
        .send_all([job("p", "pause", "1"), job("r", "remove", "1")])
        .await;
    let outcomes = stage.outcomes(2).await;
    assert_eq!(by_job(outcomes.clone(), "r")["code"], "not_dynamic");
    assert_eq!(by_job(outcomes, "p")["code"], "applied");
    let actions: Vec<Verb> = stage.calls().into_iter().map(|call| call.0).collect();
    assert_eq!(actions, [Verb::Remove, Verb::Pause]);
}

#[tokio::test]
async fn a_job_older_than_what_was_already_carried_out_is_superseded_without_a_call() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("jobs.max_age", "0s").start().await;
    let mut newer = job("newer", "remove", "1");
    newer["requested_at"] = json!("2026-11-21T18:10:00Z");
    let mut older = job("older", "pause", "1");
    older["requested_at"] = json!("2026-11-21T18:09:59Z");
    stage.perform(newer).await;
    let outcome = stage.perform(older).await;
    assert_eq!(outcome["status"], "superseded");
    assert_eq!(outcome["superseded_by"], "newer");
    assert_eq!(stage.calls().len(), 1);
}

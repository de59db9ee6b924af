//! The pages for operators: what their sessions print, and what the worker's log says meanwhile.

use serde_json::{Value, json};

use super::refusal;
use super::session::{Desk, Page};
use crate::support::{Worker, poll, stage};

#[tokio::test]
async fn the_session_on_stepping_in_prints_what_its_page_shows() {
    const TOKEN: &str = "a-token-of-this-test";
    let stage = stage().await;
    let worker = stage.worker().set("http.actions", "true");
    let worker = worker.set("http.actions_token", TOKEN);
    let worker = worker.set("batch.linger", "10m").start().await;
    let agents: Vec<String> = (570..582).map(|agent: u16| agent.to_string()).collect();
    let job = json!({"action": "pause", "queue": "10000", "agents": agents});
    stage.send(job).await;
    worker.shows("clockout_jobs_held 1").await;
    let page = Page::read("docs/operating.md");
    let [actions] = page.sessions();
    let desk = Desk::beside(&stage, &worker);
    let desk = desk.with_file("/etc/clockout/secrets/actions_token", TOKEN);
    desk.play(actions).await;
    let [log] = page.blocks("")[..] else {
        panic!("one line of a log");
    };
    desk.hold(&logged(&worker, "is paused").await, log);
}

#[tokio::test]
async fn the_session_of_the_runbook_prints_what_it_shows() {
    let stage = stage().await;
    let unauthorized = json!({"match": {}, "effect": {"call": {"status": {"code": 401}}}});
    stage.faults(json!([unauthorized]));
    let worker = stage.worker().set("breaker.cooldown", "30m");
    let worker = worker.set("breaker.cooldown_max", "30m").start().await;
    stage.send(pause("570")).await;
    worker.shows("clockout_breaker_open 1").await;
    worker.answers("/readyz", 503).await;
    let page = Page::read("docs/runbook.md");
    let [ready] = page.sessions();
    Desk::beside(&stage, &worker).play(ready).await;
}

#[tokio::test]
async fn the_log_of_a_call_reads_as_its_page_shows() {
    let stage = stage().await;
    stage.faults(json!([refusal(&json!({"agent": "5"}), "no such queue")]));
    let worker = stage.worker().set("log.format", "json");
    let worker = worker.set("batch.linger", "10m");
    let worker = worker.set("batch.max_agents", "5").start().await;
    stage.send_all(["1", "2", "3", "4", "5"].map(pause)).await;
    let lines = [
        logged(&worker, "agents done").await,
        logged(&worker, "dead letter").await,
    ];
    let page = Page::read("docs/tracing.md");
    let blocks = page.blocks("").into_iter();
    let shown: String = blocks.filter(|block| block.starts_with('{')).collect();
    Desk::beside(&stage, &worker).hold(&lines.join("\n"), &shown);
}

/// A job of one agent that is called like it.
fn pause(agent: &str) -> Value {
    json!({"job_id": agent, "action": "pause", "queue": "10000", "agent": agent})
}

/// The first line with these words in a worker's log; waits for it.
async fn logged(worker: &Worker, words: &str) -> String {
    poll(words, async || {
        let log = worker.log();
        let line = log.lines().find(|line| line.contains(words));
        line.map(ToOwned::to_owned)
    })
    .await
}

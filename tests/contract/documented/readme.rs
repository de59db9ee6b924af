//! The README: what it shows of `send`, `run`, `check`, `status` and `demo`.

use std::ops::RangeInclusive;

use regex::Regex;
use serde_json::{Value, json};

use super::refusal;
use super::session::{Desk, Page, printed_in};
use crate::support::{Stage, free_port, place, poll, stage, within};

#[tokio::test]
async fn what_the_readme_sends_ends_as_it_shows() {
    let stage = stage().await;
    let agent = json!({"agent": "553"});
    stage.faults(json!([refusal(&agent, "Interface not found")]));
    let worker = stage.worker().start().await;
    let desk = Desk::beside(&stage, &worker);
    let page = Page::read("docs/sending.md");
    let [_, many, ..] = page.sessions::<6>();
    desk.lay(many);
    let page = Page::read("README.md");
    let [send, _, _] = page.sessions();
    desk.play(send).await;
}

#[tokio::test]
async fn the_check_finds_what_the_readme_shows() {
    let desk = Desk::at(&place(), &format!("127.0.0.1:{}", free_port()));
    let mut sim = desk.begin("$ clockout pbx-sim --listen 127.0.0.1:8088 --api-key another");
    sim.line().await;
    let page = Page::read("README.md");
    let [_, check, _] = page.sessions();
    desk.play(check).await;
}

#[tokio::test]
async fn a_worker_that_is_started_as_the_readme_says_does_a_job() {
    const KEY: &str = "a-key-of-this-test";
    let place = place();
    let pbx = format!("127.0.0.1:{}", free_port());
    // Only what the page sets leads to the broker.
    let desk = Desk::at(&place, &pbx).with("CLOCKOUT_AMQP_URL", "amqp://nowhere.invalid");
    let desk = desk.with_file("/run/secrets/pbx", KEY);
    let desk = desk.with_address("192.0.2.7", &pbx);
    let desk = desk.with_address("amqp://…", &place.url);
    let simulate = format!("$ clockout pbx-sim --listen 127.0.0.1:8088 --api-key {KEY}");
    let mut sim = desk.begin(&simulate);
    sim.line().await;
    let mut stage = Stage::at(place).await;
    let page = Page::read("README.md");
    let [_, start] = page.blocks("bash")[..] else {
        panic!("how to try it, and how to run it");
    };
    // What the tests run is built already.
    let run = start.strip_prefix("cargo install --path . --locked\n");
    let run = run.unwrap().replace("\\\n", "");
    let mut worker = desk.begin(&format!("$ {run}"));
    // A worker that cannot connect goes on saying so.
    within("a connection", worker.says("connected to RabbitMQ")).await;
    let job = json!({"action": "pause", "queue": "10000", "agent": "570"});
    assert_eq!(stage.perform(job).await["code"], "applied");
}

/// First all but one agent of each PBX queue are done; then the PBX answers no call any more.
#[tokio::test]
async fn the_status_in_the_middle_of_a_shift_end_is_the_one_in_the_readme() {
    const QUEUES: [&str; 5] = ["10000", "10001", "10002", "10003", "10004"];
    let mut stage = stage().await;
    let worker = stage.worker().set("worker.name", "callcentre-1");
    let worker = worker.set("pbx.timeout", "5m");
    // RabbitMQ is asked four times in that time how its queues stand.
    let worker = worker.set("watchdog.patience", "4s").start().await;
    let locked = refusal(&json!({"agent": "1"}), "Extension locked by administrator");
    stage.faults(json!([locked]));
    for queue in QUEUES {
        stage.send(pause_of(queue, 1..=199)).await;
        stage.outcomes(199).await;
    }
    stage.faults(json!([{"match": {}, "effect": {"call": {"hang": {"applied": false}}}}]));
    stage
        .send_all(QUEUES.map(|queue| pause_of(queue, 1001..=1251)))
        .await;
    let page = Page::read("README.md");
    let [_, _, status] = page.sessions();
    let desk = Desk::beside(&stage, &worker);
    // Counted second by second, and asked of RabbitMQ from time to time.
    let settled = [
        "waiting    0 jobs",
        " 5 calls",
        "5 letters in clockout.dead",
    ];
    let printed = poll("a status after all that", async || {
        let printed = desk.begin(status).rest().await.join("\n");
        let settled = settled.iter().all(|words| printed.contains(words));
        settled.then_some(printed)
    })
    .await;
    desk.hold(&printed, printed_in(status));
}

/// A job that pauses these agents.
fn pause_of(queue: &str, agents: RangeInclusive<u16>) -> Value {
    let agents: Vec<String> = agents.map(|agent| agent.to_string()).collect();
    json!({"action": "pause", "queue": queue, "agents": agents})
}

/// But for the figures, which are those of one run.
#[tokio::test]
async fn the_demonstration_ends_as_the_readme_shows() {
    let page = Page::read("README.md");
    let shown = page.blocks("").into_iter();
    let shown = shown.filter(|block| block.contains("every job got its outcome"));
    let shown: String = shown.collect();
    let desk = Desk::at(&place(), "127.0.0.1:8088");
    let printed = desk.begin("$ clockout demo").rest().await.join("\n");
    let figures = Regex::new(r"\d+(\.\d+)?").unwrap();
    let [printed, shown] =
        [printed, shown].map(|text| figures.replace_all(&text, "N").into_owned());
    desk.hold(&printed, &shown);
}

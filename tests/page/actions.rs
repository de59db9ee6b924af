//! The actions, on the page of a real worker: a reader with the token pauses and resumes, flushes a queue, closes the
//! breaker; one without is told so.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{Stage, WorkerSetup, stage};

const TOKEN: &str = "a-token-of-this-test";
/// That wait while the worker is paused.
const JOBS: u32 = 24;
const ENTER: &str = "\u{e007}";

fn with_actions(stage: &Stage) -> WorkerSetup {
    let worker = stage.worker().set("http.actions", "true");
    worker.set("http.actions_token", TOKEN)
}

fn pause(queue: &str) -> Value {
    json!({"job_id": queue, "action": "pause", "queue": queue, "agent": "570"})
}

#[tokio::test]
async fn whoever_knows_the_token_pauses_and_resumes_the_worker_on_the_page() {
    let mut stage = stage().await;
    let worker = with_actions(&stage).set("worker.name", "clockout-1");
    let worker = worker.start().await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    browser
        .comes("!document.getElementById('actions').hidden")
        .await;
    browser.fill("who", "Sara").await;
    browser.fill("token", "not-the-token-at-all").await;
    browser.click("pause").await;
    browser
        .shows("actions-word", "the token is wrong or missing")
        .await;

    browser.fill("token", TOKEN).await;
    browser.click("pause").await;
    browser.shows("actions-word", "consuming is paused").await;
    browser.shows("verdict", "Paused").await;
    browser.shows("broker", "connected, taking no jobs").await;
    stage
        .send_all((10_000..10_000 + JOBS).map(|queue| pause(&queue.to_string())))
        .await;
    stage.jobs_ready(JOBS).await;
    browser
        .comes(&format!(
            "document.getElementById('jobs-ready').textContent === '{JOBS}'"
        ))
        .await;
    browser
        .comes("!document.getElementById('plot-idle').hidden")
        .await;
    browser.shows("plot-idle", "nothing in the last ").await;
    browser.look_over("paused").await;

    browser.click("resume").await;
    browser.shows("verdict", "All is well").await;
    for _ in 0..JOBS {
        assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    }
    assert!(worker.log().contains("as Sara asked from 127.0.0.1:"));
    // A refused token is an error to the browser's console, and the only one.
    let complaints = browser.complaints().await;
    let others = complaints
        .iter()
        .filter(|complaint| !complaint.to_string().contains("401"));
    assert_eq!(others.collect::<Vec<&Value>>(), Vec::<&Value>::new());
}

#[tokio::test]
async fn enter_flushes_the_queue_that_was_typed_and_does_nothing_else() {
    let mut stage = stage().await;
    let worker = with_actions(&stage)
        .set("batch.linger", "10m")
        .start()
        .await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    browser.fill("who", "Sara").await;
    browser.press(ENTER).await;
    browser.fill("token", TOKEN).await;
    browser.press(ENTER).await;
    for (queue, by_key) in [("10000", true), ("20000", false)] {
        stage.send(pause(queue)).await;
        browser
            .comes("document.getElementById('held').textContent === '1'")
            .await;
        browser.fill("queue", queue).await;
        if by_key {
            browser.press(ENTER).await;
        } else {
            browser.click_on("#flush button").await;
        }
        let said = format!("queue {queue} is flushed: 1 agent waited");
        browser.shows("actions-word", &said).await;
        assert_eq!(stage.outcomes.next().await.json()["queue"], queue);
    }
    let log = worker.log();
    assert!(!log.contains("consuming is paused"), "{log}");
}

#[tokio::test]
async fn an_open_breaker_is_closed_on_the_page() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {}, "effect": {"call": {"status": {"code": 503}}}}]));
    let worker = with_actions(&stage)
        .set("breaker.failures", "1")
        .set("breaker.cooldown", "1h")
        .set("breaker.cooldown_max", "1h")
        .start()
        .await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    stage.send(pause("10000")).await;
    browser.shows("breaker", "open, no calls are made").await;
    stage.faults(json!([]));
    browser.fill("who", "Sara").await;
    browser.fill("token", TOKEN).await;
    browser.click("close").await;
    browser
        .shows(
            "actions-word",
            "the breaker is closed, calls are made again",
        )
        .await;
    browser.shows("breaker", "✓ closed").await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
}

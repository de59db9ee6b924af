//! The actions, on the page of a real worker: a reader with the token pauses and resumes; one without is told so.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::stage;

const TOKEN: &str = "a-token-of-this-test";

#[tokio::test]
async fn whoever_knows_the_token_pauses_and_resumes_the_worker_on_the_page() {
    let mut stage = stage().await;
    let worker = stage
        .worker()
        .set("http.actions", "true")
        .set("http.actions_token", TOKEN)
        .start()
        .await;
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
    browser.look_over("paused").await;
    stage
        .send(json!({"job_id": "1", "action": "pause", "queue": "1", "agent": "570"}))
        .await;
    stage.jobs_ready(1).await;

    browser.click("resume").await;
    browser.shows("verdict", "All is well").await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    assert!(worker.log().contains("as Sara asked from 127.0.0.1:"));
    // A refused token is an error to the browser's console, and the only one.
    let complaints = browser.complaints().await;
    let others = complaints
        .iter()
        .filter(|complaint| !complaint.to_string().contains("401"));
    assert_eq!(others.collect::<Vec<&Value>>(), Vec::<&Value>::new());
}

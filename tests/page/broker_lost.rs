//! The page while RabbitMQ is away: it says so, goes on saying how the worker stands, and shows the recovery by itself.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{Node, Rabbit, Stage};

const SUCCEEDED: &str = "document.querySelector('[data-status=succeeded] dd').textContent";

async fn pause(stage: &Stage, agent: &str) {
    let job = json!({"job_id": agent, "action": "pause", "queue": "10000", "agent": agent});
    stage.send(job).await;
}

#[tokio::test]
async fn the_page_shows_that_rabbitmq_is_lost_and_that_it_is_back_without_a_reload() {
    let node = Node::start();
    let mut stage = Stage::at(node.place()).await;
    let worker = stage.worker().start().await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    browser.shows("broker", "✓ connected and subscribed").await;
    browser.ask("window.loadedOnce = true").await;
    pause(&stage, "570").await;
    browser.comes(&format!("{SUCCEEDED} === '1'")).await;

    node.stop();
    browser.shows("verdict", "In trouble").await;
    browser.shows("reasons", "RabbitMQ").await;
    browser.shows("broker", "✗ not connected").await;
    browser.shows("errors", "is RabbitMQ running").await;
    browser
        .comes("document.title.startsWith('In trouble')")
        .await;
    browser.look_over("rabbitmq-lost").await;

    node.start_again();
    browser
        .shows("broker", "✓ connected and subscribed; lost and back")
        .await;
    browser.shows("verdict", "All is well").await;
    stage.rabbit = Rabbit::connect(&stage.place.url).await;
    pause(&stage, "553").await;
    browser.comes(&format!("{SUCCEEDED} === '2'")).await;
    assert_eq!(browser.ask("window.loadedOnce").await, true);
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

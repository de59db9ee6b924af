//! The page of a real worker, on a real RabbitMQ, with a simulated PBX: a shift end, an outage, the recovery.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{Stage, Worker, stage};

const QUEUES: usize = 12;
const AGENTS: usize = 40;

const SLOW_MS: u64 = 1500;
/// Slower still, so that a shift end lasts while it is looked at; below `pbx.timeout`.
const SLOWER_MS: u64 = 6000;

const STATUSES: &str =
    "Array.from(document.querySelectorAll('#outcomes dt'), (it) => it.textContent).join()";
const QUEUES_ARE_SHOWN: &str = "document.querySelectorAll('#queues tr').length > 0";

/// Everybody of each queue leaves.
async fn end_shift(stage: &Stage, shift: &str) {
    let jobs = (0..QUEUES * AGENTS).map(|number| {
        let queue = (10_000 + 100 * (number % QUEUES)).to_string();
        let agent = (500 + number / QUEUES).to_string();
        let id = format!("{shift}/{queue}/{agent}");
        json!({"job_id": id, "action": "pause", "queue": queue, "agent": agent})
    });
    stage.send_all(jobs).await;
}

/// How many outcomes with this status the page shows.
fn told(status: &str) -> String {
    format!("document.querySelector('[data-status={status}] dd').textContent")
}

/// The PBX takes so long for a call; at it one agent of each queue is no member and one queue is not known.
fn slow_pbx(stage: &Stage, ms: u64) {
    let slow = json!({"match": {}, "effect": {"latency": {"ms": ms, "jitter_ms": 1000}}});
    let unknown = json!({
        "match": {"queue": "10300", "agent": "507"},
        "effect": {"item": {"fail": {"text": "No such queue"}}}
    });
    let odd = json!({
        "match": {"agent": "511"},
        "effect": {"item": {"fail": {"text": "Interface not found"}}}
    });
    stage.faults(json!([slow, unknown, odd]));
}

async fn slow_worker(stage: &Stage) -> Worker {
    slow_pbx(stage, SLOW_MS);
    stage
        .worker()
        .set("worker.name", "clockout-1")
        .set("batch.max_agents", "15")
        // RabbitMQ is asked four times in that time how its queues stand.
        .set("watchdog.patience", "20s")
        .set("breaker.cooldown", "500ms")
        .set("breaker.cooldown_max", "500ms")
        .start()
        .await
}

#[tokio::test]
async fn the_page_shows_a_shift_end_an_outage_and_the_recovery_without_a_reload() {
    let stage = stage().await;
    let worker = slow_worker(&stage).await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    browser.shows("verdict", "All is well; nothing to do").await;
    browser.ask("window.loadedOnce = true").await;

    end_shift(&stage, "noon").await;
    let done = QUEUES * AGENTS - QUEUES - 1;
    browser
        .comes(&format!("{} === '{done}'", told("succeeded")))
        .await;
    browser
        .comes(&format!("{} === '{}'", told("failed"), QUEUES + 1))
        .await;
    browser.shows("failures", "No such queue").await;
    browser.shows("failures", "pause, last on ").await;
    browser
        .comes("document.querySelectorAll('#failures tr').length === 2")
        .await;
    browser.shows("dead-ready", &(QUEUES + 1).to_string()).await;
    browser
        .comes("!document.getElementById('dead-next').hidden")
        .await;
    browser.shows("queues-shown", "0 queues").await;
    let statuses = "succeeded,failed,unknown,expired,invalid,superseded,dry run";
    assert_eq!(browser.ask(STATUSES).await, statuses);
    let idle = "document.getElementById('plot-idle').hidden";
    assert_eq!(browser.ask(idle).await, true);

    end_shift(&stage, "evening").await;
    browser
        .comes("document.querySelectorAll('#queues tr').length >= 10")
        .await;
    browser.shows("batches", "it was full").await;
    browser.shows("verdict", "All is well").await;
    slow_pbx(&stage, SLOWER_MS);
    browser.look_over("shift-end").await;
    slow_pbx(&stage, SLOW_MS);
    browser
        .comes(&format!("{} === '{}'", told("succeeded"), 2 * done))
        .await;

    stage.faults(json!([{"match": {}, "effect": {"call": {"status": {"code": 503}}}}]));
    end_shift(&stage, "night").await;
    browser.shows("verdict", "In trouble").await;
    browser.shows("breaker", "open, no calls are made").await;
    browser
        .comes("document.title.startsWith('In trouble')")
        .await;
    browser.comes(QUEUES_ARE_SHOWN).await;
    browser.shows("verdict-when", "since ").await;
    browser
        .shows("verdict-when", "next probe of the PBX at ")
        .await;
    // Each call that fails has its row among the batches already.
    browser
        .comes("document.querySelectorAll('#errors tr').length === 0")
        .await;
    browser.look_over("outage").await;

    stage.faults(json!([]));
    browser.shows("verdict", "All is well").await;
    browser.shows("breaker", "closed").await;
    let all = 2 * done + QUEUES * AGENTS;
    let all = format!("{},{:03}", all / 1000, all % 1000);
    browser
        .comes(&format!("{} === '{all}'", told("succeeded")))
        .await;
    assert_eq!(browser.ask("window.loadedOnce").await, true);
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

/// Whose job came too late is still on the queue.
#[tokio::test]
async fn a_job_that_expired_is_bad_news() {
    let stage = stage().await;
    let worker = stage.worker().start().await;
    let Some(browser) = Browser::open(&worker.url()).await else {
        return;
    };
    let late = json!({
        "action": "pause", "queue": "10000", "agent": "570", "expires_at": "2026-01-01T00:00:00Z"
    });
    stage.send(late).await;
    browser
        .shows("verdict", "Works, but 1 of 1 agents failed lately")
        .await;
    browser.shows("failures", "expired").await;
    browser
        .comes("document.querySelector('[data-status=expired] dd').dataset.tone === 'bad'")
        .await;
}

//! Guards what ends without a call: by policy, in a dry run (CONTRACT §7), or past its time (§2).

use serde_json::{Value, json};

use crate::support::{WorkerSetup, json_message, stage};

fn job(action: &str, queue: &str) -> Value {
    json!({"action": action, "queue": queue, "agent": "1"})
}

/// 2001-09-09, in seconds since 1970.
const LONG_AGO: u64 = 1_000_000_000;

#[tokio::test]
async fn what_policy_forbids_fails_without_a_call_and_is_buried() {
    let only_pause: fn(WorkerSetup) -> WorkerSetup = |worker| worker.set("policy.actions", "pause");
    let only_there: fn(WorkerSetup) -> WorkerSetup =
        |worker| worker.set("policy.remove_queues", "2, 3");
    for policy in [only_pause, only_there] {
        let mut stage = stage().await;
        let _worker = policy(stage.worker()).start().await;
        let outcome = stage.perform(job("remove", "1")).await;
        let end = (&outcome["status"], &outcome["code"], &outcome["attempts"]);
        assert_eq!(
            end,
            (&json!("failed"), &json!("forbidden_by_policy"), &json!(0))
        );
        let letter = stage.dead.next().await;
        assert_eq!(letter.headers["clockout-code"], "forbidden_by_policy");

        let outcome = stage.perform(job("pause", "1")).await;
        assert_eq!(outcome["code"], "applied");
        assert_eq!(stage.calls().len(), 1);
    }
}

#[tokio::test]
async fn removing_is_allowed_on_the_queues_that_policy_names() {
    let mut stage = stage().await;
    let worker = stage.worker().set("policy.remove_queues", "2, 3");
    let _worker = worker.start().await;
    assert_eq!(stage.perform(job("remove", "3")).await["code"], "applied");
}

#[tokio::test]
async fn a_dry_run_of_the_settings_covers_every_job() {
    let mut stage = stage().await;
    let worker = stage.worker().set("policy.dry_run", "true");
    let _worker = worker.start().await;
    let outcome = stage.perform(job("remove", "1")).await;
    assert_eq!(
        (&outcome["status"], &outcome["dry_run"]),
        (&json!("dry_run"), &json!(true))
    );
    assert!(stage.calls().is_empty());
    assert!(stage.dead.rest().await.is_empty());
}

#[tokio::test]
async fn a_job_older_than_its_longest_age_expires_without_a_call() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let properties = json_message().with_timestamp(LONG_AGO);
    let body = job("pause", "1").to_string();
    stage.send_raw("1", body.as_bytes(), properties).await;
    let outcome = &stage.outcomes(1).await[0];
    assert_eq!(
        (&outcome["status"], &outcome["code"]),
        (&json!("expired"), &json!("expired"))
    );
    assert_eq!(outcome["attempts"], 0);
    assert!(stage.calls().is_empty());
    assert!(
        stage.dead.rest().await.is_empty(),
        "nobody's fault: no dead letter"
    );
}

#[tokio::test]
async fn without_a_longest_age_an_old_job_is_still_done() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("jobs.max_age", "0s").start().await;
    let properties = json_message().with_timestamp(LONG_AGO);
    let body = job("pause", "1").to_string();
    stage.send_raw("1", body.as_bytes(), properties).await;
    assert_eq!(stage.outcomes(1).await[0]["code"], "applied");
}

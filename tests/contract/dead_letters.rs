//! Guards CONTRACT §6: one dead letter for each job that did not end well, whole and with the reason on it.

use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::support::{json_message, stage};

#[tokio::test]
async fn a_dead_letter_is_the_original_job_with_the_reason_in_its_headers() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "No such queue"}}}}]));
    let _worker = stage.worker().start().await;
    let mut headers = FieldTable::default();
    headers.insert("crm".into(), AMQPValue::LongString("north".into()));
    let properties = json_message()
        .with_headers(headers)
        .with_message_id("m-1".into())
        .with_correlation_id("c-1".into());
    let body = b"{ \"action\": \"pause\",\n \"queue\": \"10000\", \"agent\": \"570\" }";
    stage.send_raw("10000", body, properties).await;

    let letter = stage.dead.next().await;
    assert_eq!(letter.body, body, "to the last byte");
    assert_eq!(letter.routing_key, "10000");
    assert_eq!(
        letter.properties.message_id().as_ref().unwrap().as_str(),
        "m-1"
    );
    assert_eq!(
        letter
            .properties
            .correlation_id()
            .as_ref()
            .unwrap()
            .as_str(),
        "c-1"
    );
    assert_eq!(*letter.properties.delivery_mode(), Some(2));
    let expected = [
        ("crm", "north"),
        ("clockout-status", "failed"),
        ("clockout-code", "no_such_queue"),
        ("clockout-message", "No such queue"),
        ("clockout-agents", "570"),
        ("clockout-attempts", "1"),
    ];
    for (header, value) in expected {
        assert_eq!(
            letter.headers.get(header).map(String::as_str),
            Some(value),
            "{header}"
        );
    }
    assert!(letter.headers.contains_key("clockout-at"));
    assert_eq!(stage.outcomes.next().await.json()["code"], "no_such_queue");
}

#[tokio::test]
async fn a_job_of_several_agents_gets_one_letter_that_names_those_that_failed() {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {"agent": "2"}, "effect": {"item": {"fail": {"text": "odd"}}}},
        {"match": {"agent": "3"}, "effect": {"item": {"fail": {"text": "No such queue"}}}},
    ]));
    let _worker = stage.worker().start().await;
    let agents = ["1", "3", "2"];
    stage
        .send(json!({"action": "pause", "queue": "1", "agents": agents}))
        .await;
    stage.outcomes(3).await;
    let letter = stage.dead.next().await;
    assert!(stage.dead.rest().await.is_empty());
    assert_eq!(letter.headers["clockout-agents"], "3,2");
    assert_eq!(
        letter.headers["clockout-code"], "no_such_queue",
        "of the first in the job's order"
    );
    assert_eq!(letter.headers["clockout-attempts"], "2", "the highest");
}

#[tokio::test]
async fn a_job_told_again_is_not_buried_again() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "No such queue"}}}}]));
    let _worker = stage.worker().start().await;
    let job = json!({"job_id": "j", "action": "pause", "queue": "1", "agent": "2"});
    let first = stage.perform(job.clone()).await;
    stage.dead.next().await;
    let again = stage.perform(job).await;
    assert_eq!(first["outcome_id"], again["outcome_id"]);
    assert!(stage.dead.rest().await.is_empty());
}

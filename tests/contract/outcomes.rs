//! Guards CONTRACT §5: what an outcome says, how it is published, and that a job waits until all of its are confirmed.

use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Value, json};

use crate::support::{Rabbit, json_message, poll, stage};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_outcome_says_all_that_the_contract_lists() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("worker.name", "worker-1").start().await;
    let job = json!({
        "job_id": "shift-2291/570", "correlation_id": "shift-2291", "action": "pause", "queue": "10000",
        "agent": "570", "reason": "shift end", "context": {"b": 1, "a": [null, "é"]},
        "requested_at": "2026-11-21T18:10:00+03:30", "expires_at": "2100-01-01T00:00:00Z",
    });
    let mut outcome = stage.perform(job).await;
    let times = ["received_at", "completed_at"].map(|field| take(&mut outcome, field));
    for time in &times {
        let time = time.as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    assert!(times[0].as_str() <= times[1].as_str());
    assert!(!take(&mut outcome, "message").is_null());
    assert_eq!(take(&mut outcome, "batch")["size"], 1);
    let id: uuid::Uuid = take(&mut outcome, "outcome_id")
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(id.get_version_num(), 5);
    let expected = json!({
        "job_id": "shift-2291/570", "correlation_id": "shift-2291", "action": "pause", "queue": "10000",
        "agent": "570", "reason": "shift end", "context": {"b": 1, "a": [null, "é"]}, "dry_run": false,
        "pbx": "default", "status": "succeeded", "code": "applied", "attempts": 1, "superseded_by": null,
        "requested_at": "2026-11-21T14:40:00.000Z", "worker": "worker-1",
    });
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn its_message_can_be_routed_and_understood_without_its_body() {
    let mut stage = stage().await;
    let _worker = stage.worker().set("pbx.name", "north.1 b").start().await;
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString(PARENT.into()));
    let job = json!({"job_id": "j", "action": "remove", "queue": "1*#", "agent": "570"});
    let properties = json_message().with_headers(headers);
    stage
        .send_raw("1", job.to_string().as_bytes(), properties)
        .await;
    let message = stage.outcomes.next().await;
    let outcome = message.json();

    assert_eq!(message.routing_key, "remove.succeeded.north_1_b.1__");
    let expected = [
        ("action", "remove"),
        ("agent", "570"),
        ("pbx", "north.1 b"),
        ("queue", "1*#"),
        ("status", "succeeded"),
        ("traceparent", PARENT),
    ];
    let document: Value = serde_json::from_str(include_str!("../../docs/asyncapi.json")).unwrap();
    let documented = &document["components"]["messages"]["outcome"]["headers"]["properties"];
    let undocumented = message
        .headers
        .keys()
        .find(|header| documented.get(header).is_none());
    assert_eq!(undocumented, None);
    for (header, value) in expected {
        assert_eq!(
            message.headers.get(header).map(String::as_str),
            Some(value),
            "{header}"
        );
    }
    let properties = message.properties;
    assert_eq!(text(properties.content_type().as_ref()), "application/json");
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(
        text(properties.message_id().as_ref()),
        outcome["outcome_id"]
    );
    assert_eq!(
        text(properties.correlation_id().as_ref()),
        "j",
        "the job id by default"
    );
    assert_eq!(text(properties.kind().as_ref()), "clockout.outcome.v1");
    assert_eq!(text(properties.app_id().as_ref()), "clockout");
    assert!(properties.timestamp().is_some());
}

#[tokio::test]
async fn what_is_not_known_of_a_job_is_null_and_an_underscore_in_the_routing_key() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    stage
        .send_raw("10000", b"{\"queue\": \"10000\"}", json_message())
        .await;
    let message = stage.outcomes.next().await;
    assert_eq!(message.routing_key, "_.invalid.default.10000");
    let outcome = message.json();
    assert_eq!(outcome["queue"], "10000", "what could be read");
    assert_eq!(
        (&outcome["action"], &outcome["agent"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn an_outcome_that_no_queue_takes_holds_its_job_until_one_does() {
    let stage = stage().await;
    let worker = stage
        .worker()
        .set("results.exchange", "unheard")
        .set("results.queue", "");
    let worker = worker.start().await;
    stage
        .send(json!({"action": "pause", "queue": "1", "agent": "2"}))
        .await;
    let why = worker.answers("/readyz", 503).await;
    assert!(serde_json::from_str::<Value>(&why).is_ok(), "{why}");

    let mut heard = stage.rabbit.tap("unheard").await;
    assert_eq!(heard.next().await.json()["code"], "applied");
    worker.ready().await;
    assert_eq!(stage.calls().len(), 1, "told again, not done again");
}

#[tokio::test]
async fn an_outcome_that_no_queue_takes_is_counted_and_dropped_where_that_is_wished() {
    let stage = stage().await;
    let worker = stage
        .worker()
        .set("results.exchange", "unheard")
        .set("results.queue", "");
    let mut worker = worker.set("results.unroutable", "discard").start().await;
    stage
        .send(json!({"action": "pause", "queue": "1", "agent": "2"}))
        .await;
    let acknowledged = r#"clockout_jobs_settled_total{disposition="ack"} 1"#;
    worker.shows(acknowledged).await;
    worker.ready().await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
    assert_eq!(stage.rabbit.depth(&stage.place.names.jobs).await, Some(0));
}

#[tokio::test]
async fn the_catch_all_queue_keeps_outcomes_that_nobody_bound_a_queue_for() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    stage
        .perform(json!({"action": "pause", "queue": "1", "agent": "2"}))
        .await;
    let late = Rabbit::connect(&stage.place.url).await;
    let queue = &stage.place.names.results;
    poll("the outcome in the catch-all", async || {
        (late.depth(queue).await == Some(1)).then_some(())
    })
    .await;
}

fn take(outcome: &mut Value, field: &str) -> Value {
    outcome.as_object_mut().unwrap().remove(field).expect(field)
}

fn text(property: Option<&ShortString>) -> &str {
    property.expect("the property is there").as_str()
}

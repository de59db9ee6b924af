//! Guards CONTRACT §1 and §8 where workers come and go: one works, the others stand by, and none loses a job.

use serde_json::{Value, json};

use crate::support::{Stage, Worker, free_port, stage};

fn job(number: u32) -> Value {
    let agent = number.to_string();
    json!({"action": "pause", "queue": (number % 5).to_string(), "agent": agent})
}

#[tokio::test]
async fn a_standby_is_ready_and_takes_over() {
    let mut stage = stage().await;
    let named = |name| stage.worker().set("worker.name", name);
    let (first, second) = (named("first"), named("second"));
    let mut first = first.start().await;
    let _second = second.start().await;
    for number in 0..10 {
        assert_eq!(stage.perform(job(number)).await["worker"], "first");
    }
    first.signal("TERM");
    assert_eq!(first.ended().await.code(), Some(0));
    assert_eq!(stage.perform(job(1)).await["worker"], "second");
}

/// Two workers of which the first is at a call for the first of two jobs of one agent, and has been told to stop; the
/// second job comes now.
async fn hand_over_in_mid_call(stage: &Stage, faults: Value, grace: &str) -> [Worker; 2] {
    let named = |name| stage.worker().set("worker.name", name);
    let first = named("first").set("shutdown.grace", grace).start().await;
    let second = named("second").start().await;
    stage.faults(faults);
    let job = |id, action| json!({"job_id": id, "action": action, "queue": "1", "agent": "7"});
    stage.send(job("earlier", "remove")).await;
    stage.called(1).await;
    first.signal("TERM");
    first.answers("/readyz", 503).await;
    stage.send(job("later", "pause")).await;
    [first, second]
}

fn tell(outcomes: &[Value]) -> Vec<[&str; 3]> {
    let fields = |outcome| ["job_id", "code", "worker"].map(|field| text(outcome, field));
    outcomes.iter().map(fields).collect()
}

fn text<'o>(outcome: &'o Value, field: &str) -> &'o str {
    outcome[field].as_str().unwrap()
}

#[tokio::test]
async fn the_next_worker_gets_nothing_before_the_last_one_has_finished() {
    let mut stage = stage().await;
    let slow = json!([{"times": 1, "effect": {"latency": {"ms": 500}}}]);
    let [mut first, _second] = hand_over_in_mid_call(&stage, slow, "30s").await;
    assert_eq!(first.ended().await.code(), Some(0));
    assert_eq!(
        tell(&stage.outcomes(2).await),
        [
            ["earlier", "applied", "first"],
            ["later", "not_member", "second"]
        ]
    );
}

#[tokio::test]
async fn what_goes_back_unfinished_goes_before_what_came_later() {
    let mut stage = stage().await;
    let mute = json!([{"times": 1, "effect": {"call": {"hang": {"applied": false}}}}]);
    let [mut first, _second] = hand_over_in_mid_call(&stage, mute, "300ms").await;
    assert_eq!(first.ended().await.code(), Some(3));
    assert_eq!(
        tell(&stage.outcomes(2).await),
        [
            ["earlier", "applied", "second"],
            ["later", "not_member", "second"]
        ]
    );
}

/// With less than the whole prefetch, since it held jobs when it began to consume again: nothing held, it would take the whole.
#[tokio::test]
async fn a_worker_that_is_back_from_an_outage_keeps_its_turn_beside_a_standby() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"call": {"status": {"code": 401}}}}]));
    let named = |name| {
        let worker = stage.worker().set("worker.name", name);
        worker.set("breaker.cooldown", "100ms")
    };
    let first = named("first").set("jobs.prefetch", "10").start().await;
    let job_of_7 = |action| json!({"action": action, "queue": "1", "agent": "7"});
    stage.send_all(["remove", "pause"].map(job_of_7)).await;
    first.answers("/readyz", 503).await;
    stage.faults(json!([{"effect": {"latency": {"ms": 4_000}}}]));
    first.ready().await;
    let _second = named("second").start().await;
    let calls = stage.pbx.calls(0);
    let under_way = calls.last().unwrap().ended_ms.is_none();
    assert!(under_way, "a job is still held");
    stage.outcomes(2).await;
    first
        .shows("clockout_jobs_settled_total{disposition=\"ack\"} 2")
        .await;
    stage.faults(json!([]));
    assert_eq!(stage.perform(job(1)).await["worker"], "first");
}

#[tokio::test]
async fn a_drain_finishes_what_is_held_and_leaves_the_rest() {
    const JOBS: u32 = 60;
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"latency": {"ms": 100}}}]));
    let worker = stage.worker().set("jobs.prefetch", "10");
    let mut worker = worker.start().await;
    stage.send_all((0..JOBS).map(job)).await;
    stage.called(1).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
    let told = stage.outcomes.rest().await.len();
    let left = stage.rabbit.depth(&stage.place.names.jobs).await.unwrap();
    assert_eq!(told + usize::try_from(left).unwrap(), 60);
    let called: usize = stage.calls().iter().map(|call| call.1.len()).sum();
    assert_eq!(called, told);
}

#[tokio::test]
async fn a_worker_that_never_found_its_broker_still_stops_when_told() {
    let stage = stage().await;
    let nowhere = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let mut worker = stage.worker().set("amqp.url", &nowhere).spawn();
    let why = worker.answers("/readyz", 503).await;
    assert!(why.contains("broker_disconnected"), "{why}");
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
}

//! Guards `docs/tracing.md`: one trace from the producer to the outcome, and a worker that no receiver of traces can hold up.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::otlp::{Collector, attribute, hex};
use crate::support::{Stage, json_message, stage};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PRODUCER: &str = "b7ad6b7169203331";

fn traceparent(value: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString(value.into()));
    json_message().with_headers(headers)
}

async fn send_traced(stage: &Stage, agent: &str, value: &str) {
    let job = json!({"job_id": agent, "action": "pause", "queue": "10000", "agent": agent});
    let body = job.to_string();
    stage
        .send_raw("10000", body.as_bytes(), traceparent(value))
        .await;
}

/// The spans of this name, in the order of their beginning.
fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    let mut named: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    named.sort_by_key(|span| span.start_time_unix_nano);
    named
}

fn has_outcome(spans: &[Span]) -> bool {
    spans.iter().any(|span| span.name == "outcome")
}

#[tokio::test]
async fn one_trace_leads_from_the_producer_through_every_call_to_the_outcome() {
    let mut stage = stage().await;
    let collector = Collector::start().await;
    stage.faults(json!([{"times": 1, "effect": {"call": {"status": {"code": 503}}}}]));
    let worker = stage.worker().set("traces.endpoint", &collector.url);
    let _worker = worker.start().await;
    send_traced(&stage, "570", &format!("00-{TRACE}-{PRODUCER}-01")).await;
    let message = stage.outcomes.next().await;
    let outcome = message.json();
    let spans = collector.spans("the outcome's span", has_outcome).await;

    let mut names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["job", "outcome", "pbx call", "pbx call", "waiting"]);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let job = named(&spans, "job")[0];
    assert_eq!(hex(&job.parent_span_id), PRODUCER);
    for span in spans.iter().filter(|span| span.name != "job") {
        assert_eq!(span.parent_span_id, job.span_id, "{}", span.name);
    }
    // The consumer of the outcome goes on from the job.
    let own = format!("00-{TRACE}-{}-01", hex(&job.span_id));
    assert_eq!(message.headers.get("traceparent"), Some(&own));

    for (key, field) in [
        ("clockout.outcome_id", "outcome_id"),
        ("clockout.agent", "agent"),
        ("clockout.queue", "queue"),
        ("clockout.status", "status"),
        ("messaging.message.id", "job_id"),
    ] {
        let expected = outcome[field].as_str().map(str::to_owned);
        assert_eq!(attribute(job, key), expected, "{key}");
    }
    let [first, second] = named(&spans, "pbx call")[..] else {
        panic!("two calls");
    };
    assert_eq!(attribute(first, "clockout.result").unwrap(), "transient");
    let status = first.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "HTTP 503 Service Unavailable");
    assert_eq!(attribute(second, "clockout.result").unwrap(), "answered");
    assert_eq!(attribute(second, "clockout.attempt").unwrap(), "2");
    let batch = outcome["batch"]["id"].as_str();
    assert_eq!(attribute(second, "clockout.batch.id").as_deref(), batch);

    let waiting = named(&spans, "waiting")[0];
    let told = named(&spans, "outcome")[0];
    assert_eq!(waiting.start_time_unix_nano, job.start_time_unix_nano);
    assert_eq!(waiting.end_time_unix_nano, first.start_time_unix_nano);
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert!(second.start_time_unix_nano <= told.start_time_unix_nano);
}

#[tokio::test]
async fn a_job_without_a_trace_begins_one_that_its_outcome_leads_to() {
    let mut stage = stage().await;
    let collector = Collector::start().await;
    let worker = stage.worker().set("traces.endpoint", &collector.url);
    let _worker = worker.start().await;
    stage.send_raw("_", b"no job", json_message()).await;
    let message = stage.outcomes.next().await;
    let spans = collector.spans("the outcome's span", has_outcome).await;
    let job = named(&spans, "job")[0];
    let id = message.json()["outcome_id"]
        .as_str()
        .unwrap()
        .replace('-', "");
    assert_eq!(hex(&job.trace_id), id);
    assert_eq!(job.parent_span_id, b"");
    assert_eq!(job.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(attribute(job, "error.type").unwrap(), "malformed_json");
    let own = format!("00-{id}-{}-01", hex(&job.span_id));
    assert_eq!(message.headers.get("traceparent"), Some(&own));
}

#[tokio::test]
async fn what_the_producer_does_not_record_leaves_no_span() {
    let mut stage = stage().await;
    let collector = Collector::start().await;
    let worker = stage.worker().set("traces.endpoint", &collector.url);
    let _worker = worker.start().await;
    let unrecorded = format!("00-{TRACE}-{PRODUCER}-00");
    send_traced(&stage, "570", &unrecorded).await;
    let header = stage.outcomes.next().await.headers.remove("traceparent");
    assert_eq!(header, Some(unrecorded), "as it came");
    let other = TRACE.replace('0', "1");
    send_traced(&stage, "553", &format!("00-{other}-{PRODUCER}-01")).await;
    let spans = collector.spans("the outcome's span", has_outcome).await;
    assert!(spans.iter().all(|span| hex(&span.trace_id) == other));
}

#[tokio::test]
async fn what_is_told_before_the_end_is_sent_before_the_end() {
    let mut stage = stage().await;
    let collector = Collector::start().await;
    let worker = stage.worker().set("traces.endpoint", &collector.url);
    let mut worker = worker.start().await;
    stage
        .perform(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
    let spans = collector.spans("the outcome's span", has_outcome).await;
    assert_eq!(spans.len(), 4);
}

#[tokio::test]
async fn a_receiver_that_hangs_or_is_not_there_holds_nobody_up() {
    // Takes connections, as the system does by itself, and never a request.
    let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let hanging_url = format!("http://{}", hanging.local_addr().unwrap());
    for (url, trouble) in [
        (hanging_url.as_str(), "hanging"),
        ("http://127.0.0.1:9", "not there"),
    ] {
        let mut stage = stage().await;
        let worker = stage.worker().set("traces.endpoint", url);
        // Nobody would wait for the end of a request.
        let mut worker = worker.set("traces.timeout", "1h").start().await;
        let jobs = (0..200)
            .map(|agent| json!({"action": "pause", "queue": "1", "agent": agent.to_string()}));
        stage.send_all(jobs).await;
        for outcome in stage.outcomes(200).await {
            assert_eq!(outcome["code"], "applied", "{trouble}");
        }
        stage.jobs_ready(0).await;
        worker.signal("TERM");
        assert_eq!(worker.ended().await.code(), Some(0), "{trouble}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_lost_is_told_of_once_and_its_spans_are_counted() {
    let mut stage = stage().await;
    let worker = stage.worker().set("traces.endpoint", "http://127.0.0.1:9");
    let worker = worker.start().await;
    stage
        .perform(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    // The tries to send a request take 15 s.
    worker
        .shows(r#"clockout_spans_total{result="dropped"} 4"#)
        .await;
    let log = worker.log();
    assert_eq!(log.matches("traces do not reach").count(), 1, "{log}");
}

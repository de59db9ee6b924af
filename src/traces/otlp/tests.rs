//! What is written of each kind of span.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::batch::{BatchId, Cause};
use crate::engine::job::{Echo, OutcomeId};
use crate::engine::outcome::{BatchRef, Code, Conclusion};
use crate::wire::outcome::Identity;
use crate::wire::trace_context::JobSpan;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn outcome(code: Code, message: Option<&str>) -> Arc<Outcome> {
    Arc::new(Outcome {
        id: OutcomeId::of("j-1", "10000", "570", "pause", None),
        job_id: JobId::parse("j-1").ok(),
        action: Some(Action::Pause),
        queue: PbxQueue::parse("10000").ok(),
        agent: Agent::parse("570").ok(),
        dry_run: false,
        requested_at: None,
        received_at: Timestamp(1_000),
        echo: Arc::new(Echo {
            correlation_id: Some("shift-7".into()),
            traceparent: Some(SAMPLED.into()),
            ..Echo::default()
        }),
        conclusion: Conclusion {
            code,
            message: message.map(Into::into),
            attempts: 2,
            batch: Some(BatchRef {
                id: BatchId(7),
                size: 3,
            }),
            superseded_by: None,
            completed_at: Timestamp(1_900),
        },
    })
}

fn writer() -> Writer {
    let [pbx, worker, run] = ["default", "host-7", "run"].map(str::to_owned);
    let encoder = Encoder::new(Identity {
        pbx: pbx.clone(),
        worker: worker.clone(),
        run,
    });
    let names = Names {
        worker,
        pbx,
        jobs_queue: "clockout.jobs".to_owned(),
        results_exchange: "clockout.results".to_owned(),
    };
    Writer::new(names, encoder)
}

fn written(what: What) -> Written {
    let span = Span {
        job: JobSpan::of_outcome(&outcome(Code::Applied, None)).unwrap(),
        from: Timestamp(1_000),
        took: Duration::from_micros(1_500),
        what,
    };
    writer().span(&span)
}

fn shown(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |value: &KeyValue| match value.value.as_ref().and_then(|v| v.value.clone()) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    let pairs = attributes
        .iter()
        .map(|pair| (pair.key.as_str(), value(pair)));
    pairs.collect()
}

#[test]
fn ids_and_times_are_those_of_the_span() {
    let span = written(What::Waiting);
    assert_eq!(
        span.trace_id,
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()
    );
    assert_eq!(span.span_id.len(), 8);
    let times = (span.start_time_unix_nano, span.end_time_unix_nano);
    assert_eq!(times, (1_000_000_000, 1_001_500_000));
    assert_eq!(
        (span.name.as_str(), span.kind()),
        ("waiting", SpanKind::Internal)
    );
    assert_eq!((span.flags, span.status), (0x101, None));
}

#[test]
fn the_span_above_a_job_is_somebody_elses() {
    let span = written(What::Job(outcome(Code::Applied, None)));
    assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(span.flags, 0x301);
}

#[test]
fn a_job_is_told_by_the_conventions_of_messaging() {
    let span = written(What::Job(outcome(
        Code::Applied,
        Some("Paused successfully"),
    )));
    assert_eq!((span.kind(), span.status), (SpanKind::Consumer, None));
    let id = outcome(Code::Applied, None).id.to_string();
    let expected = [
        ("clockout.action", "pause"),
        ("clockout.agent", "570"),
        ("clockout.attempts", "Some(IntValue(2))"),
        ("clockout.code", "applied"),
        ("clockout.outcome_id", &id),
        ("clockout.queue", "10000"),
        ("clockout.status", "succeeded"),
        ("messaging.destination.name", "clockout.jobs"),
        ("messaging.message.conversation_id", "shift-7"),
        ("messaging.message.id", "j-1"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.system", "rabbitmq"),
    ];
    let expected = expected.map(|(key, value)| (key, value.to_owned()));
    assert_eq!(shown(&span.attributes), BTreeMap::from(expected));
}

#[test]
fn a_job_that_becomes_a_dead_letter_is_an_error_in_the_words_of_the_pbx() {
    for (message, shown_message) in [(Some("no such agent"), "no such agent"), (None, "rejected")] {
        let span = written(What::Job(outcome(Code::Rejected, message)));
        let status = span.status.unwrap();
        assert_eq!(
            (status.code(), status.message.as_str()),
            (StatusCode::Error, shown_message)
        );
        assert_eq!(shown(&span.attributes)["error.type"], "rejected");
    }
    for code in [
        Code::Superseded,
        Code::Expired,
        Code::DryRun,
        Code::AlreadyAbsent,
    ] {
        assert_eq!(
            written(What::Job(outcome(code, None))).status,
            None,
            "{code}"
        );
    }
}

#[test]
fn a_call_says_what_it_was_and_how_it_ended() {
    let call = |kind, message: Option<&str>| What::Call {
        call: Arc::new(Call {
            name: "run-7".to_owned(),
            size: 3,
            cause: Cause::Retry,
            kind,
            message: message.map(Into::into),
            began: Timestamp(1_000),
            took: Duration::from_millis(5),
        }),
        attempt: 2,
    };
    let span = written(call("transient", Some("HTTP 503 Service Unavailable")));
    assert_eq!(
        (span.name.as_str(), span.kind()),
        ("pbx call", SpanKind::Client)
    );
    assert_eq!(span.status.unwrap().message, "HTTP 503 Service Unavailable");
    let expected = [
        ("clockout.attempt", "Some(IntValue(2))"),
        ("clockout.batch.cause", "retry"),
        ("clockout.batch.id", "run-7"),
        ("clockout.batch.size", "Some(IntValue(3))"),
        ("clockout.result", "transient"),
        ("error.type", "transient"),
        ("http.request.method", "POST"),
        ("peer.service", "default"),
    ];
    let expected = expected.map(|(key, value)| (key, value.to_owned()));
    assert_eq!(shown(&span.attributes), BTreeMap::from(expected));
    let span = written(call("answered", None));
    assert_eq!(span.status, None);
    assert!(!shown(&span.attributes).contains_key("error.type"));
}

#[test]
fn an_outcome_says_where_it_was_published() {
    let span = written(What::Outcome(outcome(Code::Applied, None)));
    assert_eq!(
        (span.name.as_str(), span.kind()),
        ("outcome", SpanKind::Producer)
    );
    let attributes = shown(&span.attributes);
    assert_eq!(attributes["messaging.destination.name"], "clockout.results");
    let routing_key = &attributes["messaging.rabbitmq.destination.routing_key"];
    assert_eq!(routing_key, "pause.succeeded.default.10000");
}

#[test]
fn a_request_says_who_tells() {
    let request = writer().request(&[]);
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    let shown = shown(&resource.attributes);
    assert_eq!(shown["service.name"], "clockout");
    assert_eq!(shown["service.instance.id"], "host-7");
    assert_eq!(shown["clockout.pbx"], "default");
}

//! CONTRACT §2: one row per field and code.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::outcome::{Code, Status};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR_MS: i64 = 3_600_000;
const SETTINGS: Settings = Settings {
    max_age: Some(Duration::from_hours(1)),
    dry_run: false,
};

fn message(body: impl Into<Vec<u8>>) -> Incoming {
    Incoming::bare(body.into())
}

fn read_with(message: &Incoming, settings: Settings) -> Result<Job, Arc<Outcome>> {
    parse(message, &settings, NOW, &mut || {
        JobId::parse("made-up").unwrap()
    })
}

fn read(message: &Incoming) -> Result<Job, Arc<Outcome>> {
    read_with(message, SETTINGS)
}

/// A good job with these fields added or replaced; `null` stands for absent.
fn job_with(fields: Value) -> Vec<u8> {
    let mut job = json!({"job_id": "j", "action": "pause", "queue": "10000", "agent": "570"});
    let Value::Object(fields) = fields else {
        panic!("an object of fields")
    };
    job.as_object_mut().unwrap().extend(fields);
    job.to_string().into_bytes()
}

fn good(body: impl Into<Vec<u8>>) -> Job {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body).into_owned();
    read(&message(body)).unwrap_or_else(|outcome| panic!("{shown}: {:?}", outcome.conclusion))
}

fn bad(body: impl Into<Vec<u8>>) -> Arc<Outcome> {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body).into_owned();
    let outcome = read(&message(body)).expect_err(&shown);
    assert_eq!(outcome.status(), Status::Invalid, "{shown}");
    outcome
}

fn words(outcome: &Outcome) -> &str {
    outcome.conclusion.message.as_deref().unwrap()
}

fn agents(job: &Job) -> Vec<&str> {
    job.targets()
        .iter()
        .map(|target| target.agent.as_str())
        .collect()
}

#[test]
fn the_contracts_own_example_is_a_job() {
    let job = good(
        r#"{"job_id":"shift-2291/570","action":"pause","queue":"10000","agent":"570","reason":"shift end","expires_at":"2026-11-21T18:10:00+03:30"}"#,
    );
    assert_eq!(job.id.as_str(), "shift-2291/570");
    assert_eq!((job.action, job.queue.as_str()), (Action::Pause, "10000"));
    assert_eq!(agents(&job), ["570"]);
    assert_eq!(job.expires_at, Some(Timestamp(1_795_272_000_000)));
    assert_eq!(job.requested_at, None);
    assert_eq!(job.received_at, NOW);
    assert!(!job.dry_run);
    assert_eq!(job.echo.reason.as_deref(), Some("shift end"));
    assert_eq!(job.echo.correlation_id, None);
}

#[test]
fn every_field_takes_the_values_of_its_row() {
    let digits = "9".repeat(32);
    for fields in [
        json!({"action": "remove"}),
        json!({"queue": "0100"}),
        json!({"queue": "*45#_+-aZ"}),
        json!({"queue": 0}),
        json!({"queue": digits}),
        json!({"agent": 570}),
        json!({"agent": null, "agents": ["570"]}),
        json!({"agent": null, "agents": vec!["570"; 500]}),
        json!({"job_id": "é".repeat(128)}),
        json!({"correlation_id": "c".repeat(256)}),
        json!({"requested_at": "2026-11-21T18:10:00Z"}),
        json!({"expires_at": "9999-12-31T23:59:59Z"}),
        json!({"reason": ""}),
        json!({"reason": "é".repeat(256)}),
        json!({"context": {}}),
        json!({"context": {"pad": "x".repeat(4096 - r#"{"pad":""}"#.len())}}),
        json!({"dry_run": false}),
        json!({"shift": {"unknown": ["fields", "are", "ignored"]}}),
    ] {
        good(job_with(fields));
    }
}

#[test]
fn null_counts_as_absent() {
    let nulls = json!({
        "agents": null, "job_id": null, "correlation_id": null, "requested_at": null, "expires_at": null,
        "reason": null, "context": null, "dry_run": null, "not_before": null,
    });
    let job = good(job_with(nulls));
    assert_eq!(job.id.as_str(), "made-up");
    for required in ["action", "queue", "agent"] {
        assert_eq!(
            bad(job_with(json!({required: null}))).conclusion.code,
            Code::MissingField
        );
    }
}

#[test]
fn a_wrong_action_queue_or_agent_is_told_with_its_field_and_code() {
    for (code, field, fields) in [
        (Code::UnknownAction, "action", json!({"action": "unpause"})),
        (Code::UnknownAction, "action", json!({"action": "Pause"})),
        (Code::BadValue, "action", json!({"action": 1})),
        (Code::BadValue, "queue", json!({"queue": ""})),
        (Code::BadValue, "queue", json!({"queue": "1 0"})),
        (Code::BadValue, "queue", json!({"queue": "1".repeat(33)})),
        (Code::BadValue, "queue", json!({"queue": -1})),
        (Code::BadValue, "queue", json!({"queue": 1.5})),
        (Code::BadValue, "queue", json!({"queue": true})),
        (Code::BadValue, "agent", json!({"agent": "۵۷۰"})),
        (Code::BadValue, "agent", json!({"agent": {}})),
        (Code::BadValue, "agents", json!({"agents": ["570"]})),
        (
            Code::BadValue,
            "agents",
            json!({"agent": null, "agents": []}),
        ),
        (
            Code::BadValue,
            "agents",
            json!({"agent": null, "agents": "570"}),
        ),
        (
            Code::BadValue,
            "agents",
            json!({"agent": null, "agents": ["570", null]}),
        ),
        (
            Code::BadValue,
            "agents",
            json!({"agent": null, "agents": vec!["570"; 501]}),
        ),
    ] {
        check_bad(code, field, fields);
    }
}

#[test]
fn every_other_wrong_value_is_told_with_its_field_and_code() {
    for (code, field, fields) in [
        (Code::BadValue, "job_id", json!({"job_id": ""})),
        (Code::BadValue, "job_id", json!({"job_id": 7})),
        (Code::BadValue, "job_id", json!({"job_id": "a\nb"})),
        (Code::BadValue, "job_id", json!({"job_id": "j".repeat(129)})),
        (
            Code::BadValue,
            "correlation_id",
            json!({"correlation_id": ""}),
        ),
        (
            Code::BadValue,
            "correlation_id",
            json!({"correlation_id": "c".repeat(257)}),
        ),
        (
            Code::BadValue,
            "requested_at",
            json!({"requested_at": "2026-11-21T18:10:00"}),
        ),
        (
            Code::BadValue,
            "requested_at",
            json!({"requested_at": 1_763_750_000}),
        ),
        (
            Code::BadValue,
            "expires_at",
            json!({"expires_at": "2026-11-21 18:10:00Z"}),
        ),
        (Code::BadValue, "reason", json!({"reason": "r".repeat(257)})),
        (Code::BadValue, "reason", json!({"reason": 1})),
        (Code::BadValue, "context", json!({"context": "text"})),
        (
            Code::BadValue,
            "context",
            json!({"context": {"pad": "x".repeat(4087)}}),
        ),
        (Code::BadValue, "dry_run", json!({"dry_run": "true"})),
        (Code::BadValue, "dry_run", json!({"dry_run": 1})),
        (
            Code::UnsupportedField,
            "not_before",
            json!({"not_before": "2026-11-21T18:10:00Z"}),
        ),
        (
            Code::TooLarge,
            "body",
            json!({"pad": "x".repeat(64 * 1024)}),
        ),
    ] {
        check_bad(code, field, fields);
    }
}

fn check_bad(code: Code, field: &str, fields: Value) {
    let outcome = bad(job_with(fields));
    assert_eq!(outcome.conclusion.code, code, "{}", words(&outcome));
    assert!(words(&outcome).contains(field), "{}", words(&outcome));
}

#[test]
fn what_is_no_json_object_is_malformed() {
    for body in [
        &b""[..],
        b"hello",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"action\":\"pause\"",
        b"{\"action\":\"pause\"} and more",
        b"{\"reason\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        "[".repeat(100_000).as_bytes(),
        "x".repeat(70_000).as_bytes(),
    ] {
        let outcome = bad(body);
        assert_eq!(
            outcome.conclusion.code,
            Code::MalformedJson,
            "{}",
            words(&outcome)
        );
    }
}

#[test]
fn of_several_problems_the_first_of_the_contracts_order_is_told() {
    let huge = "x".repeat(64 * 1024);
    for (code, field, fields) in [
        (
            Code::MissingField,
            "action",
            json!({"action": null, "queue": null, "agent": null}),
        ),
        (
            Code::MissingField,
            "agent",
            json!({"action": "stop", "agent": null, "pad": huge}),
        ),
        (
            Code::UnknownAction,
            "action",
            json!({"action": "stop", "queue": "", "pad": huge}),
        ),
        (
            Code::TooLarge,
            "body",
            json!({"queue": "", "not_before": 1, "pad": huge}),
        ),
        (
            Code::BadValue,
            "queue",
            json!({"not_before": 1, "dry_run": 1, "agent": "", "queue": ""}),
        ),
    ] {
        let outcome = bad(job_with(fields));
        assert_eq!(outcome.conclusion.code, code, "{}", words(&outcome));
        assert!(words(&outcome).starts_with(field) || words(&outcome).contains("the body"));
    }
}

#[test]
fn a_body_of_exactly_64_kib_is_a_job() {
    let mut body = job_with(json!({}));
    body.resize(64 * 1024, b' ');
    good(body.clone());
    body.push(b' ');
    assert_eq!(bad(body).conclusion.code, Code::TooLarge);
}

#[test]
fn an_integer_of_any_size_is_its_decimal_string() {
    let job = |queue: &str| format!(r#"{{"action":"pause","queue":{queue},"agents":[{queue}]}}"#);
    let digits = "12345678901234567890123456789012";
    let read = good(job(digits));
    assert_eq!((read.queue.as_str(), agents(&read)), (digits, vec![digits]));
    for wrong in ["123456789012345678901234567890123", "-0", "1e3", "1.0"] {
        assert_eq!(bad(job(wrong)).conclusion.code, Code::BadValue, "{wrong}");
    }
}

#[test]
fn an_agent_that_repeats_is_folded_into_its_first_place() {
    let fields = json!({"agent": null, "agents": ["2", 1, "2", "1", "01"]});
    assert_eq!(agents(&good(job_with(fields))), ["2", "1", "01"]);
}

#[test]
fn of_a_repeated_field_the_last_one_counts() {
    let job = good(
        r#"{"action":"stop","queue":"1","agent":"2","agent":null,"agents":["3"],"action":"remove"}"#,
    );
    assert_eq!((job.action, agents(&job)), (Action::Remove, vec!["3"]));
}

#[test]
fn deep_nesting_in_other_fields_and_in_the_context_harms_nobody() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    good(format!(
        r#"{{"action":"pause","queue":1,"agent":2,"deep":{deep}}}"#
    ));
}

#[test]
fn the_amqp_properties_stand_in_for_absent_fields() {
    let with_properties = |body: Vec<u8>| Incoming {
        message_id: Some("m".to_owned()),
        correlation_id: Some("c".to_owned()),
        timestamp: Some(1_700_000_000),
        replay: Some(2),
        ..message(body)
    };
    let job = read(&with_properties(job_with(json!({"job_id": null})))).unwrap();
    assert_eq!(job.id.as_str(), "m");
    assert_eq!(job.echo.correlation_id.as_deref(), Some("c"));
    assert_eq!(job.requested_at, Some(Timestamp(1_700_000_000_000)));
    assert_eq!(job.expires_at, Some(Timestamp(1_700_000_000_000 + HOUR_MS)));
    assert_eq!(
        job.targets()[0].outcome_id,
        OutcomeId::of("m", "10000", "570", "pause", Some(2))
    );

    let own = json!({"correlation_id": "own", "requested_at": "2026-11-21T18:10:00Z"});
    let job = read(&with_properties(job_with(own))).unwrap();
    assert_eq!(job.id.as_str(), "j");
    assert_eq!(job.echo.correlation_id.as_deref(), Some("own"));
    assert_eq!(job.requested_at, Some(Timestamp(1_795_284_600_000)));
}

#[test]
fn an_empty_property_counts_as_absent_and_a_wrong_one_is_told() {
    let nameless = job_with(json!({"job_id": null}));
    let with = |message_id: &str, timestamp| Incoming {
        message_id: Some(message_id.to_owned()),
        correlation_id: Some(String::new()),
        timestamp,
        ..message(nameless.clone())
    };
    assert_eq!(read(&with("", None)).unwrap().id.as_str(), "made-up");
    assert!(words(&read(&with("a\tb", None)).unwrap_err()).contains("message_id"));
    let in_milliseconds = read(&with("m", Some(1_763_750_000_000))).unwrap_err();
    assert!(words(&in_milliseconds).contains("timestamp"));
}

#[test]
fn a_job_without_expiry_expires_by_age_of_its_request_else_of_its_receipt() {
    let expiry = |fields, max_age| {
        let settings = Settings {
            max_age,
            dry_run: false,
        };
        read_with(&message(job_with(fields)), settings)
            .unwrap()
            .expires_at
    };
    let requested = || json!({"requested_at": "2026-11-21T18:10:00Z"});
    let (hour, ages) = (Some(Duration::from_hours(1)), Some(Duration::MAX));
    assert_eq!(expiry(json!({}), hour), Some(Timestamp(NOW.0 + HOUR_MS)));
    assert_eq!(
        expiry(requested(), hour),
        Some(Timestamp(1_795_284_600_000 + HOUR_MS))
    );
    assert_eq!(expiry(requested(), None), None);
    assert_eq!(expiry(requested(), ages), None);
}

#[test]
fn a_dry_run_is_one_if_the_job_or_the_settings_say_so() {
    for (job, settings, expected) in [
        (false, false, false),
        (true, false, true),
        (false, true, true),
        (true, true, true),
    ] {
        let settings = Settings {
            dry_run: settings,
            ..SETTINGS
        };
        let job = read_with(&message(job_with(json!({"dry_run": job}))), settings).unwrap();
        assert_eq!(job.dry_run, expected);
    }
}

#[test]
fn the_context_is_kept_byte_for_byte() {
    let context = "{ \"n\": 1.0e5,\n\"n\":12345678901234567890123, \"é\\u00e9\":null }";
    let job = good(format!(
        r#"{{"action":"pause","queue":1,"agent":2,"context": {context} }}"#
    ));
    assert_eq!(job.echo.context.as_deref(), Some(context));
}

#[test]
fn a_traceparent_is_kept_unless_it_is_no_plain_text() {
    let kept = |traceparent: &str| {
        let traceparent = Some(traceparent.to_owned());
        let echo = read(&Incoming {
            traceparent,
            ..message(job_with(json!({})))
        })
        .unwrap()
        .echo;
        echo.traceparent.is_some()
    };
    assert!(kept(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ));
    assert!(!kept("00\r\n"));
    assert!(!kept(&"0".repeat(129)));
}

#[test]
fn an_invalid_outcome_holds_what_could_be_read() {
    let fields = json!({
        "action": "remove", "requested_at": "2026-11-21T18:10:00Z", "expires_at": "soon",
        "correlation_id": "c", "reason": "r", "context": {"k": 1}, "dry_run": true,
    });
    let outcome = bad(job_with(fields));
    assert_eq!(
        outcome.id,
        OutcomeId::of("j", "10000", "570", "remove", None)
    );
    assert_eq!(outcome.job_id.as_ref().map(JobId::as_str), Some("j"));
    assert_eq!(outcome.action, Some(Action::Remove));
    assert_eq!(outcome.queue.as_ref().map(PbxQueue::as_str), Some("10000"));
    assert_eq!(outcome.agent.as_ref().map(Agent::as_str), Some("570"));
    assert_eq!(outcome.requested_at, Some(Timestamp(1_795_284_600_000)));
    assert!(outcome.dry_run);
    assert_eq!(outcome.echo.correlation_id.as_deref(), Some("c"));
    assert_eq!(outcome.echo.reason.as_deref(), Some("r"));
    assert_eq!(outcome.echo.context.as_deref(), Some(r#"{"k":1}"#));
    assert_eq!(outcome.conclusion.attempts, 0);
    assert_eq!(outcome.conclusion.completed_at, NOW);
    assert_eq!(
        words(&outcome),
        r#"expires_at must be an RFC 3339 time with its offset, such as 2026-11-21T18:10:00+03:30, not "soon""#,
    );
}

#[test]
fn an_unreadable_message_still_has_its_properties() {
    let outcome = read(&Incoming {
        message_id: Some("m".to_owned()),
        ..message("garbage")
    })
    .unwrap_err();
    assert_eq!(outcome.job_id.as_ref().map(JobId::as_str), Some("m"));
    let nameless = read(&message("garbage")).unwrap_err();
    assert_eq!(nameless.job_id, None);
    assert_eq!(nameless.id, OutcomeId::of("made-up", "", "", "", None));
}

#[test]
fn a_wrong_value_is_repeated_only_in_part_and_without_control_characters() {
    let outcome = bad(job_with(
        json!({"queue": format!("a\u{7}{}", "b".repeat(60_000))}),
    ));
    assert!(words(&outcome).len() < 300, "{}", words(&outcome));
    assert!(words(&outcome).contains(r"a\u{7}bb"), "{}", words(&outcome));
    assert!(words(&bad(vec![b'"'; 50_000])).len() < 300);
}

proptest! {
    #[test]
    fn whatever_the_bytes_a_message_is_a_job_or_an_invalid_outcome(
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        is_a_job_or_invalid(body)?;
    }

    #[test]
    fn whatever_the_value_of_a_field_a_message_is_a_job_or_an_invalid_outcome(
        field in "action|queue|agents?|job_id|correlation_id|requested_at|expires_at|reason|context|dry_run",
        value in r#"null|true|-?[0-9]{1,40}(\.[0-9]+)?|"[^"\\\x00-\x1f]{0,40}"|"\\ud800"|\[("[0-9]*",?)*\]|\{\}"#,
    ) {
        is_a_job_or_invalid(format!(r#"{{"action":"pause","queue":1,"agent":2,"{field}":{value}}}"#))?;
    }
}

fn is_a_job_or_invalid(body: impl Into<Vec<u8>>) -> Result<(), TestCaseError> {
    match read(&message(body)) {
        Ok(job) => prop_assert!(!job.targets().is_empty()),
        Err(outcome) => {
            prop_assert_eq!(outcome.status(), Status::Invalid);
            prop_assert!(words(&outcome).chars().all(|c| !c.is_control()));
        }
    }
    Ok(())
}

//! JSON Schema (2020-12) of jobs and outcomes, from the types that write them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::job::AGENTS_MAX;
use super::job::document::Document;
use super::outcome;
use crate::engine::job::Action;
use crate::engine::outcome::{Code, Status};

/// The schema of CONTRACT §2.
pub fn job() -> Schema {
    of::<Document>()
}

/// The schema of CONTRACT §5.
pub fn outcome() -> Schema {
    of::<outcome::Body<'_>>()
}

fn of<T: JsonSchema>() -> Schema {
    // As written, not as read: what is always there is required.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

pub(super) fn action(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Action::ALL.map(Action::as_str) })
}

pub(super) fn optional_action(_: &mut SchemaGenerator) -> Schema {
    let [pause, remove] = Action::ALL.map(Action::as_str);
    json_schema!({ "enum": [pause, remove, null] })
}

pub(super) fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Status::ALL.map(Status::as_str) })
}

pub(super) fn code(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Code::ALL.map(Code::as_str) })
}

/// A queue or agent number.
pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [text_number(), integer_number()] })
}

pub(super) fn optional_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [text_number(), integer_number(), { "type": "null" }] })
}

pub(super) fn optional_numbers(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["array", "null"],
        "items": number(generator),
        "minItems": 1,
        "maxItems": AGENTS_MAX,
    })
}

fn text_number() -> Value {
    json!({ "type": "string", "pattern": "^[0-9A-Za-z*#_+-]{1,32}$" })
}

fn integer_number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// What the fields by themselves do not say: exactly one of `agent` and `agents`, where null counts as absent, and no
/// `not_before` yet.
pub(super) fn job_rules(schema: &mut Schema) {
    let given = |name: &str| json!({ "required": [name], "properties": { name: { "not": { "type": "null" } } } });
    schema.insert("oneOf".to_owned(), json!([given("agent"), given("agents")]));
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        let reserved = "Reserved for scheduled jobs: a job that has it is invalid.";
        let not_before = json!({ "description": reserved, "type": "null" });
        fields.insert("not_before".to_owned(), not_before);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jsonschema::draft202012::is_valid;

    use super::*;
    use crate::engine::batch::BatchId;
    use crate::engine::job::{Agent, Echo, JobId, OutcomeId, PbxQueue, Timestamp};
    use crate::engine::outcome::{BatchRef, Conclusion, Outcome};
    use crate::wire::outcome::{Encoder, Identity};

    #[test]
    fn the_jobs_that_contract_2_allows_fit() {
        let schema = job().to_value();
        for job in [
            json!({"job_id":"shift-2291/570","action":"pause","queue":"10000","agent":"570","reason":"shift end","expires_at":"2026-11-21T18:10:00+03:30"}),
            json!({"action": "remove", "queue": 0, "agents": ["570", 553], "agent": null, "other": 1}),
            json!({"action": "remove", "queue": "*45", "agent": 1, "context": {"a": [1]}, "dry_run": true, "not_before": null}),
        ] {
            assert!(is_valid(&schema, &job), "{job}");
        }
    }

    #[test]
    fn the_jobs_that_contract_2_refuses_do_not_fit() {
        let schema = job().to_value();
        for job in [
            json!([]),
            json!({}),
            json!({"action": "pause", "agent": "570"}),
            json!({"action": "pause", "queue": "10000"}),
            json!({"action": "unpause", "queue": "10000", "agent": "570"}),
            json!({"action": "pause", "queue": -1, "agent": "570"}),
            json!({"action": "pause", "queue": "1", "agent": "2", "agents": ["3"]}),
            json!({"action": "pause", "queue": "1", "agents": []}),
            json!({"action": "pause", "queue": "1", "agents": vec!["3"; 501]}),
            json!({"action": "pause", "queue": "1", "agent": "2", "job_id": ""}),
            json!({"action": "pause", "queue": "1", "agent": "2", "reason": "r".repeat(257)}),
            json!({"action": "pause", "queue": "1", "agent": "2", "context": "text"}),
            json!({"action": "pause", "queue": "1", "agent": "2", "not_before": "2026-11-21T18:10:00Z"}),
        ] {
            assert!(!is_valid(&schema, &job), "{job}");
        }
    }

    #[test]
    fn every_outcome_fits_and_has_no_field_besides() {
        let schema = outcome().to_value();
        let identity = Identity {
            pbx: "p".to_owned(),
            worker: "w".to_owned(),
            run: "r".to_owned(),
        };
        let encoder = Encoder::new(identity);
        for code in Code::ALL {
            for is_known in [false, true] {
                let conclusion = Conclusion {
                    code,
                    message: is_known.then(|| "m".into()),
                    attempts: 1,
                    batch: is_known.then_some(BatchRef {
                        id: BatchId(1),
                        size: 1,
                    }),
                    superseded_by: is_known.then(|| JobId::parse("k").unwrap()),
                    completed_at: Timestamp(0),
                };
                let echo = Echo {
                    correlation_id: is_known.then(|| "c".into()),
                    reason: is_known.then(|| "r".into()),
                    context: is_known.then(|| "{}".into()),
                    traceparent: None,
                };
                let message = encoder.encode(&Outcome {
                    id: OutcomeId::of("j", "1", "2", "pause", None),
                    job_id: is_known.then(|| JobId::parse("j").unwrap()),
                    action: is_known.then_some(Action::Pause),
                    queue: is_known.then(|| PbxQueue::parse("1").unwrap()),
                    agent: is_known.then(|| Agent::parse("2").unwrap()),
                    dry_run: false,
                    requested_at: is_known.then_some(Timestamp(0)),
                    received_at: Timestamp(0),
                    echo: Arc::new(echo),
                    conclusion,
                });
                let told: Value = serde_json::from_slice(&message.body).unwrap();
                assert!(is_valid(&schema, &told), "{told}");
                for field in told.as_object().unwrap().keys() {
                    assert!(schema["properties"].get(field).is_some(), "{field}");
                }
            }
        }
    }
}

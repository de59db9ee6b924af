//! Jobs as messages of Celery's task protocol 2, for the peer that reads nothing else.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::rabbit::Message;

/// The name under which the peer's task takes a job, its only argument.
const TASK: &str = "clockout.carry_out";

pub(crate) fn task(job: &Value) -> Message {
    let id = Uuid::new_v4().to_string();
    let links = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": null});
    let mut headers = FieldTable::default();
    for (name, value) in [("lang", "py"), ("task", TASK), ("id", &id)] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_correlation_id(id.into())
        .with_delivery_mode(2)
        .with_headers(headers);
    Message {
        body: json!([[job], {}, links]).to_string().into_bytes(),
        properties,
    }
}

//! Jobs as messages of Celery's task protocol 2, for the peer that reads nothing else.

use lapin::BasicProperties;
use serde_json::Value;

use crate::stage::rabbit::Message;

pub(crate) fn task(body: &Value) -> Message {
    let _ = BasicProperties::default();
    Message::json(body.to_string().into_bytes())
}

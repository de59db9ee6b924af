//! The PBX's reply: read leniently, judged strictly (CONTRACT §3).
//!
//! Pure: bytes in, meaning out, and never a panic whatever the bytes. Does not know which agents were asked for; an
//! agent that no readable item names is simply not in the result.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::texts::Texts;
use crate::engine::job::{Agent, PbxQueue};
use crate::engine::verdict::{Answer, ItemAnswer};

/// What the body of a 2xx reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Each (queue, agent) once, in no particular order; empty if the PBX reports success and names nobody.
    Answered(Vec<ItemAnswer>),
    /// `success` is false and there are no items: the batch as a whole is refused.
    Refused {
        message: Option<Arc<str>>,
        /// Whether the text is in the retry list.
        retry: bool,
    },
    /// No reply of this PBX; what it did is not known.
    Unreadable(&'static str),
}

/// Reads the body of a 2xx reply.
pub fn decode(body: &[u8], texts: &Texts) -> Decoded {
    let Some(value) = parse(body) else {
        return Decoded::Unreadable("the reply is not JSON");
    };
    let Value::Object(envelope) = value else {
        return Decoded::Unreadable("the reply is not a JSON object");
    };
    let items = items(&envelope);
    let success = envelope.get("success").and_then(flag);
    match success {
        _ if !items.is_empty() => Decoded::Answered(answers(items, texts)),
        Some(true) => Decoded::Answered(Vec::new()),
        Some(false) => {
            let text = text(envelope.get("message")).unwrap_or_default();
            Decoded::Refused {
                message: texts.legible(text),
                retry: texts.asks_for_retry(text),
            }
        }
        None => Decoded::Unreadable("the reply has neither a success flag nor items"),
    }
}

/// The envelope's text, from a reply of any status.
pub(super) struct Refusal {
    pub(super) message: Arc<str>,
    pub(super) retry: bool,
}

/// `None` if the body is no envelope or has no text.
pub(super) fn refusal(body: &[u8], texts: &Texts) -> Option<Refusal> {
    let value = parse(body)?;
    let text = text(value.get("message"))?;
    Some(Refusal {
        message: texts.legible(text)?,
        retry: texts.asks_for_retry(text),
    })
}

/// A byte order mark and bytes that are no UTF-8 (in a message, say) do not make a reply unreadable.
fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_str(&String::from_utf8_lossy(body)).ok()
}

/// The list is `data.Data`, `data.data` or `data` itself; where several are there, the first that is not empty.
fn items(envelope: &Map<String, Value>) -> &[Value] {
    let data = envelope.get("data");
    let inside = |key| data.and_then(|data| data.get(key));
    [inside("Data"), inside("data"), data]
        .into_iter()
        .filter_map(|list| list?.as_array())
        .find(|list| !list.is_empty())
        .map_or(&[], Vec::as_slice)
}

/// Where an agent is named twice it is done only if both say so: the first that is not done stands.
fn answers(items: &[Value], texts: &Texts) -> Vec<ItemAnswer> {
    let mut by_agent: HashMap<(PbxQueue, Agent), ItemAnswer> = HashMap::with_capacity(items.len());
    for item in items.iter().filter_map(|item| answer(item, texts)) {
        match by_agent.entry((item.queue, item.agent)) {
            Entry::Vacant(place) => {
                place.insert(item);
            }
            Entry::Occupied(mut place) => {
                if place.get().answer == Answer::Done {
                    place.insert(item);
                }
            }
        }
    }
    by_agent.into_values().collect()
}

/// `None` if the item does not say whom it is about.
fn answer(item: &Value, texts: &Texts) -> Option<ItemAnswer> {
    let queue = number(item.get("queue")?)?;
    let agent = ["agent", "agents"]
        .iter()
        .find_map(|key| number(item.get(key)?))?;
    let text = text(item.get("message")).unwrap_or_default();
    let done = item.get("ok").and_then(flag) == Some(true);
    Some(ItemAnswer {
        queue: PbxQueue::parse(&queue).ok()?,
        agent: Agent::parse(&agent).ok()?,
        answer: if done {
            Answer::Done
        } else {
            texts.meaning(text)
        },
        message: texts.legible(text),
    })
}

/// `None` if the value is no flag at all.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A queue or agent number, which may come as a JSON number.
fn number(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text.trim())),
        Value::Number(number) => number.as_u64().map(|number| Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

#[cfg(test)]
mod tests;

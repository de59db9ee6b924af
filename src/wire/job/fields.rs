//! The shape of a job's JSON: one pass that finds each field's text and looks into none of them.
//!
//! Values stay raw, so that every field is judged by itself, numbers keep their digits and `context` its bytes;
//! whatever other fields hold is skipped without recursion, however deep it nests.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON string, copied only if it holds escapes.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The fields of CONTRACT §2, in its order. `None`: absent or `null`. Of a repeated field the last one counts.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) action: Option<&'a RawValue>,
    pub(super) queue: Option<&'a RawValue>,
    pub(super) agent: Option<&'a RawValue>,
    pub(super) agents: Option<&'a RawValue>,
    pub(super) job_id: Option<&'a RawValue>,
    pub(super) correlation_id: Option<&'a RawValue>,
    pub(super) requested_at: Option<&'a RawValue>,
    pub(super) expires_at: Option<&'a RawValue>,
    pub(super) reason: Option<&'a RawValue>,
    pub(super) context: Option<&'a RawValue>,
    pub(super) dry_run: Option<&'a RawValue>,
    pub(super) not_before: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "action" => &mut self.action,
            "queue" => &mut self.queue,
            "agent" => &mut self.agent,
            "agents" => &mut self.agents,
            "job_id" => &mut self.job_id,
            "correlation_id" => &mut self.correlation_id,
            "requested_at" => &mut self.requested_at,
            "expires_at" => &mut self.expires_at,
            "reason" => &mut self.reason,
            "context" => &mut self.context,
            "dry_run" => &mut self.dry_run,
            "not_before" => &mut self.not_before,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Text(name)) = map.next_key()? {
            match fields.slot(&name) {
                Some(slot) => *slot = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

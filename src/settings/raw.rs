//! The settings as they are written, with their defaults. Says nothing of what they mean; that is `meaning`'s.
//!
//! The documentation of each field becomes its description in the JSON Schema, the defaults become the list of known
//! keys, and a key that is absent by default is a text. Nothing here can print: some of it is secret.

mod broker;
mod pbx;
mod worker;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use broker::{
    Amqp, Dead, JOBS_DELIVERY_LIMIT_MAX, JOBS_SHARDS_MAX, Jobs, PREFETCH_MAX, Results, Topology,
};
pub(super) use pbx::{
    AGENTS_MAX, ATTEMPTS_MAX, Batch, Breaker, CALLS_PER_SECOND_MAX, FAILURES_MAX, IN_FLIGHT_MAX,
    MULTIPLIER_MAX, Pbx, Retry, Texts,
};
pub(super) use worker::{Http, Log, Policy, Shutdown, Traces, Watchdog, Worker};

/// Settings of clockout. An environment variable `CLOCKOUT_<SECTION>_<KEY>` overrides each key; durations are a whole
/// number with a unit: "250ms", "10s", "5m", "1h", "7d".
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "clockout.toml")]
pub(super) struct Raw {
    pub(super) amqp: Amqp,
    pub(super) jobs: Jobs,
    pub(super) pbx: Pbx,
    pub(super) batch: Batch,
    pub(super) retry: Retry,
    pub(super) breaker: Breaker,
    pub(super) results: Results,
    pub(super) dead: Dead,
    pub(super) topology: Topology,
    pub(super) policy: Policy,
    pub(super) http: Http,
    pub(super) log: Log,
    pub(super) traces: Traces,
    pub(super) shutdown: Shutdown,
    pub(super) watchdog: Watchdog,
    pub(super) worker: Worker,
}

/// JSON Schema (2020-12) of the settings file.
pub(super) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
    settings
        .into_generator()
        .into_root_schema_for::<Raw>()
        .to_value()
}

/// TOML has no null: a key that may be absent is left out instead.
#[derive(Debug, Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        if let Some(Value::Array(types)) = schema.get("type")
            && let Some(other) = types.iter().find(|name| *name != "null")
        {
            let other = other.clone();
            schema.insert("type".to_owned(), other);
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        if let Some(Value::Object(defaults)) = schema.get_mut("default") {
            defaults.retain(|_, value| !value.is_null());
        }
        transform_subschemas(self, schema);
    }
}

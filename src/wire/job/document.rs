//! A job as a producer writes it, and the source of the job's JSON Schema.
//!
//! Not for reading: [`super::parse`] judges each field by itself and tells what is wrong in words.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{CORRELATION_ID_CHARS_MAX, REASON_CHARS_MAX};
use crate::engine::job::JOB_ID_CHARS_MAX;
use crate::wire::schema;

/// Asks to take one agent, or up to 500, off one PBX queue.
///
/// A field that is null counts as absent; fields of other names are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "clockout job", transform = schema::job_rules)]
pub struct Document {
    /// `pause`: no new calls are offered, the agent stays a member of the queue. `remove`: the agent leaves the queue.
    #[schemars(schema_with = "schema::action")]
    pub action: String,
    /// The number of the PBX queue; leading zeros count.
    #[schemars(schema_with = "schema::number")]
    pub queue: String,
    /// The number of the agent; leading zeros count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_number")]
    pub agent: Option<String>,
    /// Several agents at once; a repeat is folded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_numbers")]
    pub agents: Option<Vec<String>>,
    /// The producer's own id, the same when it sends the same job again. Default: the AMQP `message_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = JOB_ID_CHARS_MAX))]
    pub job_id: Option<String>,
    /// Default: the AMQP `correlation_id`, then the job id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = CORRELATION_ID_CHARS_MAX))]
    pub correlation_id: Option<String>,
    /// When the producer asked, with offset. Default: the AMQP `timestamp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested_at: Option<String>,
    /// Never act after this, with offset. Default: the request's time, else that of its receipt, and `jobs.max_age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Repeated in the outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = REASON_CHARS_MAX))]
    pub reason: Option<String>,
    /// Repeated in the outcomes untouched; up to 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Map<String, Value>>,
    /// Everything except the PBX call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::job::{JobId, Timestamp};
    use crate::wire::{Incoming, job, time};

    const NUMBER: &str = "[0-9A-Za-z*#_+-]{1,32}";

    prop_compose! {
        fn documents()(
            (action, queue) in ("pause|remove", NUMBER),
            numbers in proptest::collection::vec(NUMBER, 1..9),
            job_id in "[^\\p{Cc}]{1,128}",
            correlation_id in of("[^\\p{Cc}]{1,256}"),
            (requested_at, expires_at) in (of(0..253_402_300_800_000_i64), of(0..253_402_300_800_000_i64)),
            reason in of("\\PC{0,256}"),
            context in of(proptest::collection::hash_map(".{0,8}", ".{0,8}", 0..9)),
            dry_run in of(any::<bool>()),
        ) -> Document {
            let single = numbers.len() == 1;
            let time = |ms| time::Rfc3339(Timestamp(ms)).to_string();
            Document {
                action,
                queue,
                agent: single.then(|| numbers[0].clone()),
                agents: (!single).then_some(numbers),
                job_id: Some(job_id),
                correlation_id,
                requested_at: requested_at.map(time),
                expires_at: expires_at.map(time),
                reason,
                context: context.map(|map| map.into_iter().map(|(k, v)| (k, v.into())).collect()),
                dry_run,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(document in documents()) {
            let message = Incoming::bare(serde_json::to_vec(&document).unwrap());
            let settings = job::Settings { max_age: None, dry_run: false };
            let mut nameless = || -> JobId { unreachable!("every document has an id") };
            let job = job::parse(&message, &settings, Timestamp(0), &mut nameless).unwrap();

            let mut numbers = document.agents.or(document.agent.map(|agent| vec![agent])).unwrap();
            let mut seen = std::collections::HashSet::new();
            numbers.retain(|number| seen.insert(number.clone()));
            let targets: Vec<_> = job.targets().iter().map(|target| target.agent.to_string()).collect();
            prop_assert_eq!(targets, numbers);
            prop_assert_eq!(job.action.as_str(), document.action);
            prop_assert_eq!(job.queue.as_str(), document.queue);
            prop_assert_eq!(Some(job.id.as_str()), document.job_id.as_deref());
            prop_assert_eq!(job.echo.correlation_id.as_deref(), document.correlation_id.as_deref());
            prop_assert_eq!(job.echo.reason.as_deref(), document.reason.as_deref());
            let time = |time: Option<Timestamp>| time.map(|time| time::Rfc3339(time).to_string());
            prop_assert_eq!(time(job.requested_at), document.requested_at);
            prop_assert_eq!(time(job.expires_at), document.expires_at);
            let context = document.context.map(|context| serde_json::to_string(&context).unwrap());
            prop_assert_eq!(job.echo.context.as_deref(), context.as_deref());
            prop_assert_eq!(job.dry_run, document.dry_run == Some(true));
        }
    }
}

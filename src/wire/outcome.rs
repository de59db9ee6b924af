//! An [`Outcome`] to the message that tells it (CONTRACT §5).

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::time::Rfc3339;
use super::trace_context::{self, JobSpan};
use super::{Outgoing, schema};
use crate::engine::batch::BatchId;
use crate::engine::job::{Action, Agent, JobId, OutcomeId, PbxQueue};
use crate::engine::outcome::{BatchRef, Outcome, Status};

/// The AMQP property `type` of every outcome.
pub const TYPE: &str = "clockout.outcome.v1";

/// Longest AMQP short string: a routing key, or the property `correlation_id`.
const SHORT_STRING_BYTES_MAX: usize = 255;
/// What the longest action, status and queue and the dots leave of a routing key.
const ROUTING_PBX_BYTES_MAX: usize =
    SHORT_STRING_BYTES_MAX - "remove.superseded..".len() - crate::engine::job::NUMBER_BYTES_MAX;
/// Room for an outcome without `reason` and `context`, so that the usual one is written without growing.
const BODY_BYTES_USUAL: usize = 768;
/// Stands in a routing key for what is not known.
const UNKNOWN: &str = "_";

/// Who tells the outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `pbx.name`
    pub pbx: String,
    /// `worker.name`
    pub worker: String,
    /// Tells the batch ids of this process from those of any other.
    pub run: String,
}

/// Writes outcomes.
#[derive(Debug, Clone)]
pub struct Encoder {
    identity: Identity,
    routing_pbx: String,
    traced: bool,
}

impl Encoder {
    pub fn new(identity: Identity) -> Self {
        let cut = identity.pbx.floor_char_boundary(ROUTING_PBX_BYTES_MAX);
        let routing_pbx = routing_part(identity.pbx.get(..cut).unwrap_or_default());
        Self {
            identity,
            routing_pbx,
            traced: false,
        }
    }

    /// Whether a job has a span of its own: its outcome then names that one instead of the producer's.
    #[must_use]
    pub fn traced(self, traced: bool) -> Self {
        Self { traced, ..self }
    }

    /// The name of a call, the same wherever it is told of.
    pub fn call_name(&self, id: BatchId) -> CallName<'_> {
        let run = &self.identity.run;
        CallName { run, id }
    }

    pub fn encode(&self, outcome: &Outcome) -> Outgoing {
        let correlation_id = correlation_id(outcome);
        let seconds = outcome.conclusion.completed_at.0.div_euclid(1000);
        Outgoing {
            agent: outcome.agent,
            routing_key: self.routing_key(outcome),
            body: self.body(outcome),
            message_id: outcome.id.to_string(),
            // A longer one stands in the body only: half an id would be another job's.
            correlation_id: correlation_id
                .filter(|id| id.len() <= SHORT_STRING_BYTES_MAX)
                .map(str::to_owned),
            timestamp: u64::try_from(seconds).unwrap_or_default(),
            headers: self.headers(outcome),
        }
    }

    pub fn routing_key(&self, outcome: &Outcome) -> String {
        let action = outcome.action.map_or(UNKNOWN, Action::as_str);
        let status = outcome.status();
        let pbx = &self.routing_pbx;
        let queue = outcome
            .queue
            .as_ref()
            .map_or(UNKNOWN.to_owned(), |queue| routing_part(queue.as_str()));
        format!("{action}.{status}.{pbx}.{queue}")
    }

    /// Only what is known: a header that is not there matches nothing by mistake.
    fn headers(&self, outcome: &Outcome) -> Vec<(&'static str, String)> {
        let traceparent = self.traceparent(outcome);
        let known = [
            ("pbx", Some(self.identity.pbx.as_str())),
            ("queue", outcome.queue.as_ref().map(PbxQueue::as_str)),
            ("agent", outcome.agent.as_ref().map(Agent::as_str)),
            ("action", outcome.action.map(Action::as_str)),
            ("status", Some(outcome.status().as_str())),
            (trace_context::HEADER, traceparent.as_deref()),
        ];
        known
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.to_owned())))
            .collect()
    }

    fn traceparent<'o>(&self, outcome: &'o Outcome) -> Option<Cow<'o, str>> {
        let own = self.traced.then(|| JobSpan::of_outcome(outcome)).flatten();
        match own {
            Some(span) => Some(span.context.to_string().into()),
            None => outcome.echo.traceparent.as_deref().map(Cow::Borrowed),
        }
    }

    fn body(&self, outcome: &Outcome) -> Vec<u8> {
        let conclusion = &outcome.conclusion;
        let body = Body {
            outcome_id: outcome.id,
            job_id: outcome.job_id.as_ref().map(JobId::as_str),
            correlation_id: correlation_id(outcome),
            action: outcome.action.map(Action::as_str),
            queue: outcome.queue.as_ref().map(PbxQueue::as_str),
            agent: outcome.agent.as_ref().map(Agent::as_str),
            reason: outcome.echo.reason.as_deref(),
            // It came out of a job as JSON and is JSON still; the check is the price of writing it untouched.
            context: outcome
                .echo
                .context
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok()),
            dry_run: outcome.dry_run,
            pbx: &self.identity.pbx,
            status: outcome.status().as_str(),
            code: conclusion.code.as_str(),
            message: conclusion.message.as_deref(),
            attempts: conclusion.attempts,
            batch: conclusion.batch.map(|BatchRef { id, size }| CallRef {
                id: self.call_name(id),
                size,
            }),
            superseded_by: conclusion.superseded_by.as_ref().map(JobId::as_str),
            requested_at: outcome.requested_at.map(Rfc3339),
            received_at: Rfc3339(outcome.received_at),
            completed_at: Rfc3339(conclusion.completed_at),
            worker: &self.identity.worker,
        };
        let mut json = Vec::with_capacity(BODY_BYTES_USUAL);
        let written = serde_json::to_writer(&mut json, &body);
        debug_assert!(
            written.is_ok(),
            "strings and numbers can always be written to memory"
        );
        json
    }
}

/// An outcome's own correlation id is the job's, which is the job id unless the producer chose one.
pub fn correlation_id(outcome: &Outcome) -> Option<&str> {
    outcome
        .echo
        .correlation_id
        .as_deref()
        .or(outcome.job_id.as_ref().map(JobId::as_str))
}

/// What a consumer binds its queue with, to get the outcomes of an action, a status or a PBX queue; `None`: of any.
pub fn routing_pattern(
    action: Option<Action>,
    status: Option<Status>,
    queue: Option<&PbxQueue>,
) -> String {
    const ANY: &str = "*";
    let action = action.map_or(ANY, Action::as_str);
    let status = status.map_or(ANY, Status::as_str);
    let queue = queue.map_or(ANY.to_owned(), |queue| routing_part(queue.as_str()));
    format!("{action}.{status}.{ANY}.{queue}")
}

/// One word of a topic routing key: what the broker would read as structure, or a reader as space, becomes `_`.
fn routing_part(text: &str) -> String {
    let is_structure =
        |c: char| matches!(c, '.' | '*' | '#') || c.is_whitespace() || c.is_control();
    text.chars()
        .map(|c| if is_structure(c) { '_' } else { c })
        .collect()
}

/// What became of one agent of one pause or remove job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "clockout outcome")]
pub(super) struct Body<'a> {
    /// The key to drop repeats by: an outcome can come twice, with the same id.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    outcome_id: OutcomeId,
    /// As in the job, else its AMQP `message_id`, else made up; null if the message was no valid job and has none.
    job_id: Option<&'a str>,
    /// As in the job, else its AMQP `correlation_id`, else the job id.
    correlation_id: Option<&'a str>,
    /// As in the job; null if it could not be read.
    #[schemars(schema_with = "schema::optional_action")]
    action: Option<&'static str>,
    /// The PBX queue; null if it could not be read.
    queue: Option<&'a str>,
    /// The agent; null if it could not be read.
    agent: Option<&'a str>,
    /// As in the job.
    reason: Option<&'a str>,
    /// As in the job, untouched.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    context: Option<&'a RawValue>,
    /// Whether the job or the worker's settings asked for everything except the PBX call.
    dry_run: bool,
    /// The PBX that the worker serves.
    pbx: &'a str,
    /// How it ended: what a consumer branches on.
    #[schemars(schema_with = "schema::status")]
    status: &'static str,
    /// Why it ended so; each code belongs to one status.
    #[schemars(schema_with = "schema::code")]
    code: &'static str,
    /// The PBX's own text, or what was wrong, in words.
    message: Option<&'a str>,
    /// PBX calls that held this agent for this job; 0 if none.
    attempts: u32,
    /// The last call that held this agent; null if none.
    batch: Option<CallRef<'a>>,
    /// The job that took this one's place.
    superseded_by: Option<&'a str>,
    /// When the producer asked.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    requested_at: Option<Rfc3339>,
    /// When the worker got the job.
    #[schemars(with = "String", extend("format" = "date-time"))]
    received_at: Rfc3339,
    /// When the outcome stood.
    #[schemars(with = "String", extend("format" = "date-time"))]
    completed_at: Rfc3339,
    /// The worker instance.
    worker: &'a str,
}

/// A call to the PBX.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct CallRef<'a> {
    /// The same in all outcomes of one call.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    id: CallName<'a>,
    /// Agents in the call.
    #[schemars(range(min = 1))]
    size: u32,
}

/// A [`BatchId`] is unique in its process, with the run's name everywhere.
#[derive(Debug, Clone, Copy)]
pub struct CallName<'a> {
    run: &'a str,
    id: BatchId,
}

impl fmt::Display for CallName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.id.0)
    }
}

fn display<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::job::{Echo, Timestamp};
    use crate::engine::outcome::{Code, Conclusion};

    fn encoder(pbx: &str) -> Encoder {
        Encoder::new(Identity {
            pbx: pbx.to_owned(),
            worker: "host-7".to_owned(),
            run: "r1".to_owned(),
        })
    }

    fn outcome() -> Outcome {
        Outcome {
            id: OutcomeId::of("j-1", "10000", "0570", "pause", None),
            job_id: JobId::parse("j-1").ok(),
            action: Some(Action::Pause),
            queue: PbxQueue::parse("10000").ok(),
            agent: Agent::parse("0570").ok(),
            dry_run: false,
            requested_at: Some(Timestamp(1_795_284_600_000)),
            received_at: Timestamp(1_795_284_600_250),
            echo: Arc::new(Echo {
                correlation_id: Some("c-1".into()),
                reason: Some("shift \"end\"".into()),
                context: Some(r#"{ "n": 1.0e5, "n": 12345678901234567890123 }"#.into()),
                traceparent: Some("00-1-2-01".into()),
            }),
            conclusion: Conclusion {
                code: Code::Applied,
                message: Some("Paused successfully".into()),
                attempts: 1,
                batch: Some(BatchRef {
                    id: BatchId(42),
                    size: 3,
                }),
                superseded_by: None,
                completed_at: Timestamp(1_795_284_601_999),
            },
        }
    }

    /// What is known of a message that is no job at all.
    fn nothing() -> Outcome {
        Outcome {
            job_id: None,
            action: None,
            queue: None,
            agent: None,
            requested_at: None,
            echo: Arc::new(Echo::default()),
            conclusion: Conclusion {
                code: Code::MalformedJson,
                message: None,
                attempts: 0,
                batch: None,
                ..outcome().conclusion
            },
            ..outcome()
        }
    }

    fn body(outcome: &Outcome) -> Value {
        serde_json::from_slice(&encoder("default").encode(outcome).body).unwrap()
    }

    #[test]
    fn every_field_of_contract_5_is_written_in_its_order() {
        let id = outcome().id;
        let expected = format!(
            concat!(
                r#"{{"outcome_id":"{}","job_id":"j-1","correlation_id":"c-1","action":"pause","queue":"10000","#,
                r#""agent":"0570","reason":"shift \"end\"","context":{{ "n": 1.0e5, "n": 12345678901234567890123 }},"#,
                r#""dry_run":false,"pbx":"default","status":"succeeded","code":"applied","#,
                r#""message":"Paused successfully","attempts":1,"batch":{{"id":"r1-42","size":3}},"#,
                r#""superseded_by":null,"requested_at":"2026-11-21T18:10:00.000Z","#,
                r#""received_at":"2026-11-21T18:10:00.250Z","completed_at":"2026-11-21T18:10:01.999Z","#,
                r#""worker":"host-7"}}"#
            ),
            id
        );
        let written = encoder("default").encode(&outcome()).body;
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_null_and_never_left_out() {
        let known = body(&nothing());
        assert_eq!(known.as_object().unwrap().len(), 20);
        for field in [
            "job_id",
            "correlation_id",
            "action",
            "queue",
            "agent",
            "reason",
            "context",
            "message",
            "batch",
            "superseded_by",
            "requested_at",
        ] {
            assert_eq!(known[field], Value::Null, "{field}");
        }
    }

    #[test]
    fn without_a_correlation_id_the_job_id_stands_in() {
        let plain = Outcome {
            echo: Arc::new(Echo::default()),
            ..outcome()
        };
        assert_eq!(body(&plain)["correlation_id"], json!("j-1"));
        assert_eq!(
            encoder("default").encode(&plain).correlation_id.as_deref(),
            Some("j-1")
        );
    }

    #[test]
    fn a_superseded_job_names_the_one_that_took_its_place() {
        let mut superseded = outcome();
        superseded.conclusion.code = Code::Superseded;
        superseded.conclusion.superseded_by = JobId::parse("j-2").ok();
        assert_eq!(body(&superseded)["superseded_by"], json!("j-2"));
        assert_eq!(body(&superseded)["status"], json!("superseded"));
    }

    #[test]
    fn the_properties_and_headers_repeat_the_body() {
        let message = encoder("default").encode(&outcome());
        assert_eq!(message.message_id, outcome().id.to_string());
        assert_eq!(message.correlation_id.as_deref(), Some("c-1"));
        assert_eq!(message.timestamp, 1_795_284_601);
        let expected = [
            ("pbx", "default"),
            ("queue", "10000"),
            ("agent", "0570"),
            ("action", "pause"),
            ("status", "succeeded"),
            ("traceparent", "00-1-2-01"),
        ];
        assert_eq!(
            message.headers,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
        let nothing = encoder("default").encode(&nothing());
        let expected = [("pbx", "default"), ("status", "invalid")];
        assert_eq!(
            nothing.headers,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    #[test]
    fn where_jobs_have_spans_an_outcome_names_that_of_its_job() {
        const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let told = |traceparent: Option<&str>| {
            let mut outcome = outcome();
            outcome.echo = Arc::new(Echo {
                traceparent: traceparent.map(Into::into),
                ..Echo::default()
            });
            let own = JobSpan::of_outcome(&outcome).map(|span| span.context.to_string());
            let headers = encoder("default").traced(true).encode(&outcome).headers;
            let header = headers.into_iter().find(|(name, _)| *name == "traceparent");
            (header.map(|(_, value)| value), own)
        };
        for traceparent in [None, Some("00-1-2-01"), Some(SAMPLED)] {
            let (header, own) = told(traceparent);
            assert!(header.is_some() && header == own, "{traceparent:?}");
        }
        assert_eq!(told(Some(UNSAMPLED)), (Some(UNSAMPLED.to_owned()), None));
    }

    #[test]
    fn the_routing_key_tells_action_status_pbx_and_queue() {
        let key = |pbx: &str, outcome: &Outcome| encoder(pbx).encode(outcome).routing_key;
        assert_eq!(key("default", &outcome()), "pause.succeeded.default.10000");
        assert_eq!(key("default", &nothing()), "_.invalid.default._");
        let structured = Outcome {
            queue: PbxQueue::parse("*45#").ok(),
            ..outcome()
        };
        assert_eq!(
            key("pbx.a b#\u{a0}*", &structured),
            "pause.succeeded.pbx_a_b___._45_"
        );
    }

    #[test]
    fn a_pattern_fits_the_routing_keys_of_what_it_asks_for() {
        let queue = PbxQueue::parse("*45#").ok();
        assert_eq!(routing_pattern(None, None, None), "*.*.*.*");
        assert_eq!(
            routing_pattern(Some(Action::Pause), Some(Status::Failed), queue.as_ref()),
            "pause.failed.*._45_"
        );
    }

    #[test]
    fn the_longest_names_fit_the_short_strings_of_amqp() {
        let mut longest = outcome();
        longest.action = Some(Action::Remove);
        longest.conclusion.code = Code::Superseded;
        longest.queue = PbxQueue::parse(&"9".repeat(32)).ok();
        longest.echo = Arc::new(Echo {
            correlation_id: Some("é".repeat(128).into()),
            ..Echo::default()
        });
        let message = encoder(&"€".repeat(64)).encode(&longest);
        assert!(message.routing_key.len() <= SHORT_STRING_BYTES_MAX);
        assert!(
            message
                .routing_key
                .ends_with(&format!("€.{}", "9".repeat(32)))
        );
        assert_eq!(message.correlation_id, None);
    }

    #[test]
    fn the_status_is_the_one_of_its_code() {
        for code in Code::ALL {
            let mut outcome = outcome();
            outcome.conclusion.code = code;
            let body = body(&outcome);
            assert_eq!(body["code"], json!(code.as_str()));
            assert_eq!(body["status"], json!(code.status().as_str()));
        }
    }
}

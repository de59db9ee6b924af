//! What each part of a message says, every field judged by itself, and which problem is the first to tell.

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::BODY_BYTES_MAX;
use super::fields::Fields;
use super::value::{self, Agents, Kind, Problem};
use crate::engine::job::{Action, Agent, JobId, PbxQueue, Timestamp};
use crate::wire::Incoming;

/// What each part of a message says, or what is wrong with it; defaults from the AMQP properties are in it.
#[derive(Debug)]
pub(super) struct Reading {
    shape: Result<(), Problem>,
    size: Result<(), Problem>,
    pub(super) action: Result<Action, Problem>,
    pub(super) queue: Result<PbxQueue, Problem>,
    pub(super) agents: Result<Agents, Problem>,
    pub(super) job_id: Result<Option<JobId>, Problem>,
    pub(super) correlation_id: Result<Option<Box<str>>, Problem>,
    pub(super) requested_at: Result<Option<Timestamp>, Problem>,
    pub(super) expires_at: Result<Option<Timestamp>, Problem>,
    pub(super) reason: Result<Option<Box<str>>, Problem>,
    pub(super) context: Result<Option<Box<str>>, Problem>,
    pub(super) dry_run: Result<Option<bool>, Problem>,
    not_before: Result<(), Problem>,
}

impl Reading {
    pub(super) fn of(message: &Incoming) -> Self {
        let (fields, shape) = match shape(&message.body) {
            Ok(fields) => (fields, Ok(())),
            Err(problem) => (Fields::default(), Err(problem)),
        };
        Self {
            shape,
            size: size(&message.body),
            action: required("action", fields.action).and_then(value::action),
            queue: required("queue", fields.queue)
                .and_then(|raw| value::number("queue", raw, PbxQueue::parse)),
            agents: agents(&fields),
            job_id: string_or_property(
                ("job_id", fields.job_id),
                (
                    "the AMQP property message_id",
                    message.message_id.as_deref(),
                ),
                value::job_id,
            ),
            correlation_id: string_or_property(
                ("correlation_id", fields.correlation_id),
                (
                    "the AMQP property correlation_id",
                    message.correlation_id.as_deref(),
                ),
                value::correlation_id,
            ),
            requested_at: match fields.requested_at {
                Some(raw) => value::timestamp("requested_at", raw).map(Some),
                None => message.timestamp.map(value::amqp_timestamp).transpose(),
            },
            expires_at: fields
                .expires_at
                .map(|raw| value::timestamp("expires_at", raw))
                .transpose(),
            reason: fields.reason.map(value::reason).transpose(),
            context: fields.context.map(value::context).transpose(),
            dry_run: fields.dry_run.map(value::dry_run).transpose(),
            not_before: not_before(&fields),
        }
    }

    /// The problem to tell: of the gravest kind, and of these the first in the order of CONTRACT §2.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.problems().min_by_key(|problem| problem.kind)
    }

    /// Everything that is wrong, in the order of CONTRACT §2; of what is no JSON object, also that it has no fields.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        [
            self.shape.as_ref().err(),
            self.action.as_ref().err(),
            self.queue.as_ref().err(),
            self.agents.as_ref().err(),
            self.size.as_ref().err(),
            self.job_id.as_ref().err(),
            self.correlation_id.as_ref().err(),
            self.requested_at.as_ref().err(),
            self.expires_at.as_ref().err(),
            self.reason.as_ref().err(),
            self.context.as_ref().err(),
            self.dry_run.as_ref().err(),
            self.not_before.as_ref().err(),
        ]
        .into_iter()
        .flatten()
    }
}

fn shape(body: &[u8]) -> Result<Fields<'_>, Problem> {
    let malformed = |why: String| Problem::new(Kind::MalformedJson, why);
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| {
        malformed(match error.classify() {
            // This error would repeat the value that stands in the object's place, however long.
            Category::Data => "the body is not a JSON object".to_owned(),
            Category::Syntax | Category::Eof | Category::Io => {
                // Most bodies are one line, whose number would pass for that of a line in a file of many.
                let why = error.to_string().replace(" at line 1 column", " at column");
                format!("the body is not JSON: {why}")
            }
        })
    })
}

/// The body is parsed before it is measured: what is wrong with the fields of a body that is too large is told
/// first, and RabbitMQ bounds every message.
fn size(body: &[u8]) -> Result<(), Problem> {
    if body.len() <= BODY_BYTES_MAX {
        return Ok(());
    }
    let found = body.len();
    let message = format!("the body must be at most {BODY_BYTES_MAX} bytes, not {found}");
    Err(Problem::new(Kind::TooLarge, message))
}

fn required<'a>(field: &str, raw: Option<&'a RawValue>) -> Result<&'a RawValue, Problem> {
    raw.ok_or_else(|| Problem::new(Kind::MissingField, format!("{field} is required")))
}

fn agents(fields: &Fields<'_>) -> Result<Agents, Problem> {
    match (fields.agent, fields.agents) {
        (Some(agent), None) => value::number("agent", agent, Agent::parse).map(Agents::of_one),
        (None, Some(agents)) => value::agents(agents),
        (None, None) => Err(Problem::new(
            Kind::MissingField,
            "agent or agents is required",
        )),
        (Some(_), Some(_)) => {
            let message = "agent and agents exclude each other: a job has one of the two";
            Err(Problem::new(Kind::BadValue, message))
        }
    }
}

/// A string of the job, else of the message's properties, where an empty one counts as absent.
fn string_or_property<T>(
    (field, raw): (&str, Option<&RawValue>),
    (property, text): (&str, Option<&str>),
    parse: impl Fn(&str, &str) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    match (raw, text.filter(|text| !text.is_empty())) {
        (Some(raw), _) => parse(field, &value::string(field, raw)?).map(Some),
        (None, Some(text)) => parse(property, text).map(Some),
        (None, None) => Ok(None),
    }
}

fn not_before(fields: &Fields<'_>) -> Result<(), Problem> {
    if fields.not_before.is_none() {
        return Ok(());
    }
    let message = "not_before is reserved and not supported yet";
    Err(Problem::new(Kind::UnsupportedField, message))
}

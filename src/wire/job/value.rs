//! One field's JSON text to its meaning, or to what is wrong with it in words.
//!
//! Nothing here knows the other fields; which problem is told first is [`super::parse`]'s business.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Text;
use super::{AGENTS_MAX, CONTEXT_BYTES_MAX, CORRELATION_ID_CHARS_MAX, REASON_CHARS_MAX};
use crate::engine::job::{Action, Agent, BadNumber, JobId, Timestamp};
use crate::engine::outcome::Code;
use crate::wire::excerpt::excerpt;
use crate::wire::time;

/// How much of a wrong value is repeated to the producer.
const EXCERPT_CHARS_MAX: usize = 64;

/// What can be wrong with a job, in the order in which it is told: the first that fits wins (CONTRACT §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    MalformedJson,
    MissingField,
    UnknownAction,
    TooLarge,
    BadValue,
    /// Last, as `not_before` is in the table: a job that is wrong besides hears of that first.
    UnsupportedField,
}

impl Kind {
    pub(super) fn code(self) -> Code {
        match self {
            Self::MalformedJson => Code::MalformedJson,
            Self::MissingField => Code::MissingField,
            Self::UnknownAction => Code::UnknownAction,
            Self::TooLarge => Code::TooLarge,
            Self::BadValue => Code::BadValue,
            Self::UnsupportedField => Code::UnsupportedField,
        }
    }
}

/// Why a message is no valid job.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    /// Names the field, what is expected and what was found. Bounded, without control characters.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    /// `found` is JSON as it came.
    pub(super) fn bad(field: &str, expected: impl fmt::Display, found: &RawValue) -> Self {
        let found = excerpt(found.get(), EXCERPT_CHARS_MAX);
        Self::new(Kind::BadValue, format!("{field} {expected}, not {found}"))
    }

    pub(super) fn bad_text(field: &str, expected: impl fmt::Display, found: &str) -> Self {
        let found = excerpt(found, EXCERPT_CHARS_MAX);
        Self::new(
            Kind::BadValue,
            format!("{field} {expected}, not \"{found}\""),
        )
    }
}

pub(super) fn action(raw: &RawValue) -> Result<Action, Problem> {
    let name = string("action", raw)?;
    Action::ALL
        .into_iter()
        .find(|action| action.as_str() == name)
        .ok_or_else(|| {
            let name = excerpt(&name, EXCERPT_CHARS_MAX);
            let message = format!("action must be \"pause\" or \"remove\", not \"{name}\"");
            Problem::new(Kind::UnknownAction, message)
        })
}

/// A queue or agent number: a string, or an integer of any size standing for its digits.
pub(super) fn number<T>(
    field: &str,
    raw: &RawValue,
    parse: impl Fn(&str) -> Result<T, BadNumber>,
) -> Result<T, Problem> {
    let is_integer = raw.get().bytes().all(|b| b.is_ascii_digit());
    let is_string = raw.get().starts_with('"');
    if is_integer {
        parse(raw.get()).map_err(|expected| Problem::bad(field, expected, raw))
    } else if is_string {
        let text = string(field, raw)?;
        parse(&text).map_err(|expected| Problem::bad_text(field, expected, &text))
    } else {
        Err(Problem::bad(
            field,
            "must be a string or an integer of at least 0",
            raw,
        ))
    }
}

/// The agents of a job: at least one by its shape.
#[derive(Debug)]
pub(super) struct Agents {
    pub(super) first: Agent,
    pub(super) others: Vec<Agent>,
}

impl Agents {
    pub(super) fn of_one(first: Agent) -> Self {
        let others = Vec::new();
        Self { first, others }
    }

    pub(super) fn all(&self) -> Vec<Agent> {
        std::iter::once(self.first)
            .chain(self.others.iter().copied())
            .collect()
    }

    /// The agent, if there is only one.
    pub(super) fn single(&self) -> Option<Agent> {
        self.others.is_empty().then_some(self.first)
    }
}

pub(super) fn agents(raw: &RawValue) -> Result<Agents, Problem> {
    let bad = || {
        let expected = format_args!("must be a list of 1 to {AGENTS_MAX} agent numbers");
        Problem::bad("agents", expected, raw)
    };
    let AgentList(list) = serde_json::from_str(raw.get()).map_err(|_| bad())?;
    if list.len() > AGENTS_MAX {
        return Err(bad());
    }
    let mut agents = list
        .into_iter()
        .map(|raw| number("agents", raw, Agent::parse));
    let first = agents.next().ok_or_else(bad)??;
    let others = agents.collect::<Result<_, _>>()?;
    Ok(Agents { first, others })
}

/// The elements of a list, up to the first that is too many: a list of any length costs little memory.
struct AgentList<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for AgentList<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AgentListVisitor)
    }
}

struct AgentListVisitor;

impl<'de> Visitor<'de> for AgentListVisitor {
    type Value = AgentList<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while list.len() <= AGENTS_MAX {
            match seq.next_element()? {
                Some(agent) => list.push(agent),
                None => return Ok(AgentList(list)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(AgentList(list))
    }
}

/// `field` also names the AMQP property that the text may come from.
pub(super) fn job_id(field: &str, text: &str) -> Result<JobId, Problem> {
    JobId::parse(text).map_err(|expected| Problem::bad_text(field, expected, text))
}

/// `field` also names the AMQP property that the text may come from.
pub(super) fn correlation_id(field: &str, text: &str) -> Result<Box<str>, Problem> {
    let is_long = is_longer(text, CORRELATION_ID_CHARS_MAX);
    if text.is_empty() || is_long || text.chars().any(char::is_control) {
        let expected = format_args!("must be 1 to {CORRELATION_ID_CHARS_MAX} printable characters");
        return Err(Problem::bad_text(field, expected, text));
    }
    Ok(text.into())
}

pub(super) fn timestamp(field: &str, raw: &RawValue) -> Result<Timestamp, Problem> {
    let text = string(field, raw)?;
    time::parse(&text).ok_or_else(|| {
        let expected =
            "must be an RFC 3339 time with its offset, such as 2026-11-21T18:10:00+03:30";
        Problem::bad_text(field, expected, &text)
    })
}

pub(super) fn amqp_timestamp(seconds: u64) -> Result<Timestamp, Problem> {
    time::from_unix_seconds(seconds).ok_or_else(|| {
        let message = format!("the AMQP property timestamp must be in seconds, not {seconds}");
        Problem::new(Kind::BadValue, message)
    })
}

pub(super) fn reason(raw: &RawValue) -> Result<Box<str>, Problem> {
    let text = string("reason", raw)?;
    if is_longer(&text, REASON_CHARS_MAX) {
        let expected = format_args!("must be at most {REASON_CHARS_MAX} characters");
        return Err(Problem::bad_text("reason", expected, &text));
    }
    Ok(text.into())
}

/// The object's own text: it is repeated byte for byte, so nothing but its outside is looked at.
pub(super) fn context(raw: &RawValue) -> Result<Box<str>, Problem> {
    let text = raw.get();
    if !text.starts_with('{') || text.len() > CONTEXT_BYTES_MAX {
        let expected = format_args!("must be an object of at most {CONTEXT_BYTES_MAX} bytes");
        return Err(Problem::bad("context", expected, raw));
    }
    Ok(text.into())
}

pub(super) fn dry_run(raw: &RawValue) -> Result<bool, Problem> {
    serde_json::from_str(raw.get())
        .map_err(|_| Problem::bad("dry_run", "must be true or false", raw))
}

pub(super) fn string<'a>(field: &str, raw: &'a RawValue) -> Result<Cow<'a, str>, Problem> {
    match serde_json::from_str(raw.get()) {
        Ok(Text(text)) => Ok(text),
        Err(_) => Err(Problem::bad(field, "must be a string", raw)),
    }
}

fn is_longer(text: &str, chars_max: usize) -> bool {
    text.chars().nth(chars_max).is_some()
}

//! What is known of a letter in the dead queue, whoever put it there: the worker, RabbitMQ by itself, or somebody else.
//!
//! Never fails: what cannot be read is not known. All texts are as they came, so whoever shows them must escape them.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{AGENTS, AT, ATTEMPTS, CODE, MESSAGE, STATUS};
use crate::engine::job::{Action, Agent, Timestamp};
use crate::wire::Incoming;
use crate::wire::job::{Glimpse, glimpse};
use crate::wire::time::{self, Rfc3339};

/// The namespace of letters' names, a constant: a new one would rename every letter.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_9d1e_7a34_4b6d_9c12_c10c_c007_0002);

/// Enough to tell 100,000 letters apart.
const NAME_DIGITS: usize = 12;

/// How one job ended up dead; serialises as what `clockout dead list --json` prints of it.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// `@` and a number made of all that the letter holds: the same each time it is read.
    pub letter: String,
    pub job_id: Option<String>,
    pub action: Option<&'static str>,
    /// The PBX queue; where the body does not say, what the job was routed by.
    pub queue: Option<String>,
    /// Those that failed; where that is not known, all of the job.
    pub agents: Vec<String>,
    /// `None`: not from the worker.
    pub status: Option<String>,
    /// Of a letter that RabbitMQ itself moved here, why it did: `delivery_limit`, `rejected`, `expired`, `maxlen`.
    pub code: Option<String>,
    pub message: Option<String>,
    pub attempts: Option<u32>,
    /// How often it came back from the dead letters before.
    pub replays: u32,
    pub at: Option<Rfc3339>,
    /// How many agents of the job are not among those that failed; 0 where it is not known who failed.
    #[serde(skip)]
    pub unfailed: usize,
    /// Whether `agents` are those that failed.
    #[serde(skip)]
    pub(super) names_failed: bool,
}

impl Account {
    pub fn of(message: &Incoming, routing_key: &str, headers: &Map<String, Value>) -> Self {
        let header = |name| headers.get(name).and_then(Value::as_str);
        let told = |name| header(name).filter(|text| !text.is_empty());
        let Glimpse {
            job_id,
            action,
            queue,
            agents,
        } = glimpse(message);
        let failed: Option<Vec<String>> =
            told(AGENTS).map(|list| list.split(',').map(str::to_owned).collect());
        let death = Death::of(headers);
        let routed = Some(routing_key).filter(|key| !key.is_empty());
        let at = header(AT).and_then(time::parse).or(death.at);
        Self {
            letter: name(message, routing_key, header(AT)),
            job_id: job_id.map(|id| id.to_string()),
            action: action.map(Action::as_str),
            queue: queue
                .map(|queue| queue.to_string())
                .or_else(|| routed.map(str::to_owned)),
            names_failed: failed.is_some(),
            unfailed: failed.as_ref().map_or(0, |failed| others(&agents, failed)),
            agents: failed.unwrap_or_else(|| agents.iter().map(ToString::to_string).collect()),
            status: told(STATUS).map(str::to_owned),
            code: told(CODE).map(str::to_owned).or(death.reason),
            message: told(MESSAGE).map(str::to_owned).or(death.message),
            attempts: header(ATTEMPTS).and_then(|text| text.parse().ok()),
            replays: message.replay.unwrap_or_default(),
            at: at.map(Rfc3339),
        }
    }
}

/// How many of a job's agents are not among those that failed.
fn others(agents: &[Agent], failed: &[String]) -> usize {
    let failed: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
    let others = agents.iter();
    others
        .filter(|agent| !failed.contains(agent.as_str()))
        .count()
}

/// What RabbitMQ says of a message that it moved here by itself.
#[derive(Default)]
struct Death {
    reason: Option<String>,
    message: Option<String>,
    at: Option<Timestamp>,
}

impl Death {
    /// Of several the last one, which stands first.
    fn of(headers: &Map<String, Value>) -> Self {
        let Some(last) = headers.get("x-death").and_then(|deaths| deaths.get(0)) else {
            return Self::default();
        };
        let text = |name| last.get(name).and_then(Value::as_str);
        let reason = text("reason");
        let queue = text("queue").unwrap_or("another queue");
        let seconds = last.get("time").and_then(Value::as_u64);
        Self {
            reason: reason.map(str::to_owned),
            message: reason.map(|reason| format!("RabbitMQ moved it here from {queue}: {reason}")),
            at: seconds.and_then(time::from_unix_seconds),
        }
    }
}

/// Letters that are alike in everything are the same letter, twice.
fn name(message: &Incoming, routing_key: &str, at: Option<&str>) -> String {
    let replay = message.replay.unwrap_or_default().to_string();
    let id = message.message_id.as_deref().unwrap_or_default();
    let parts = [routing_key, id, at.unwrap_or_default(), &replay];
    let mut whole = parts.join("\0").into_bytes();
    whole.push(0);
    whole.extend_from_slice(&message.body);
    let digits = Uuid::new_v5(&NAMESPACE, &whole).simple().to_string();
    format!("@{}", digits.get(..NAME_DIGITS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(body: &str, headers: &Value) -> Account {
        let message = Incoming::bare(body.to_owned());
        Account::of(&message, "10000", headers.as_object().unwrap())
    }

    const JOB: &str = r#"{"job_id":"j","action":"pause","queue":"7","agents":["1","2","3"]}"#;

    #[test]
    fn what_the_worker_wrote_is_read_back() {
        let headers = json!({
            "clockout-status": "failed",
            "clockout-code": "rejected",
            "clockout-message": "odd",
            "clockout-agents": "2,3",
            "clockout-attempts": "2",
            "clockout-at": "2026-11-21T18:10:00.007Z",
        });
        let expected = json!({
            "letter": account(JOB, &headers).letter,
            "job_id": "j",
            "action": "pause",
            "queue": "7",
            "agents": ["2", "3"],
            "status": "failed",
            "code": "rejected",
            "message": "odd",
            "attempts": 2,
            "replays": 0,
            "at": "2026-11-21T18:10:00.007Z",
        });
        let read = account(JOB, &headers);
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        assert_eq!(read.unfailed, 1);
    }

    #[test]
    fn a_letter_of_rabbitmq_says_why_it_is_here_and_since_when() {
        let last =
            json!({"reason": "delivery_limit", "queue": "clockout.jobs", "time": 1_795_284_600});
        let headers = json!({"x-death": [last, {"reason": "expired"}]});
        let account = account(JOB, &headers);
        assert_eq!(account.code.as_deref(), Some("delivery_limit"));
        assert_eq!(
            account.message.as_deref(),
            Some("RabbitMQ moved it here from clockout.jobs: delivery_limit")
        );
        assert_eq!(account.at.unwrap().to_string(), "2026-11-21T18:10:00.000Z");
        assert_eq!(account.status, None);
        assert_eq!(account.agents, ["1", "2", "3"], "all of the job");
        assert_eq!(account.unfailed, 0, "it is not known who failed");
    }

    #[test]
    fn of_what_is_no_job_the_routing_key_is_left() {
        let account = account("not json", &json!({}));
        assert_eq!(account.queue.as_deref(), Some("10000"));
        assert_eq!((account.job_id, account.action), (None, None));
        assert!(account.agents.is_empty());
    }

    #[test]
    fn a_letter_keeps_its_name_and_no_other_has_it() {
        let name = |body, at| account(body, &json!({"clockout-at": at})).letter;
        assert_eq!(name("a", "b"), name("a", "b"));
        assert_eq!(name("a", "b").len(), 1 + NAME_DIGITS);
        assert_ne!(name("a", "b"), name("a", "c"));
        assert_ne!(name("a", "b"), name("ab", ""));
    }
}

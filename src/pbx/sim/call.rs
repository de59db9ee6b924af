//! A call as the simulated PBX takes it: which verb, which agents.

use serde::{Deserialize, Serialize};

use super::Seat;
use crate::engine::job::{Agent, PbxQueue};

/// What the call asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Pause,
    Remove,
    Resume,
    Add,
}

impl Verb {
    /// `None`: the PBX has no such service.
    pub(super) fn of_service(service: &str) -> Option<Self> {
        match service {
            "batchpauseagent" => Some(Self::Pause),
            "batchremoveagent" => Some(Self::Remove),
            "batchresumeagent" => Some(Self::Resume),
            "batchaddagent" => Some(Self::Add),
            _ => None,
        }
    }
}

/// At least one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) items: Vec<Seat>,
}

/// Why a body is no call; in words, the PBX's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadCall {
    #[error("Unable to parse content")]
    Unparsable,
    #[error("Field 'agents':value is missing")]
    NoAgents,
    #[error("Field 'queue':value is missing")]
    NoQueue,
    #[error("Field 'agent':value is missing")]
    NoAgent,
}

#[derive(Deserialize)]
struct Body {
    agents: Option<Vec<Item>>,
}

/// Other fields, such as `source` and `penalty` of an agent to add, do not matter here.
#[derive(Deserialize)]
struct Item {
    queue: Option<String>,
    agent: Option<String>,
}

impl Call {
    /// Strict where the vendor's behaviour is not known: one item that is wrong refuses the whole batch.
    pub(super) fn parse(verb: Verb, body: &[u8]) -> Result<Self, BadCall> {
        let body: Body = serde_json::from_slice(body).map_err(|_| BadCall::Unparsable)?;
        let agents = body.agents.unwrap_or_default();
        if agents.is_empty() {
            return Err(BadCall::NoAgents);
        }
        let item = |item: &Item| {
            let queue = item.queue.as_deref().unwrap_or_default();
            let agent = item.agent.as_deref().unwrap_or_default();
            Ok((
                PbxQueue::parse(queue).map_err(|_| BadCall::NoQueue)?,
                Agent::parse(agent).map_err(|_| BadCall::NoAgent)?,
            ))
        };
        let items = agents.iter().map(item).collect::<Result<_, _>>()?;
        Ok(Self { verb, items })
    }

    /// The queues of the call, each once; a well-behaved caller names one.
    pub(super) fn queues(&self) -> Vec<PbxQueue> {
        let mut queues: Vec<_> = self.items.iter().map(|(queue, _)| *queue).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_requests_are_calls_for_two_agents() {
        for (verb, body) in [
            (
                Verb::Pause,
                include_str!("../../../tests/fixtures/pause_request.json"),
            ),
            (
                Verb::Remove,
                include_str!("../../../tests/fixtures/remove_request.json"),
            ),
        ] {
            let call = Call::parse(verb, body.as_bytes()).unwrap();
            assert_eq!(call.items.len(), 2);
            assert_eq!(call.queues(), [PbxQueue::parse("10000").unwrap()]);
        }
    }

    #[test]
    fn what_is_no_call_says_why() {
        for (body, why) in [
            ("", BadCall::Unparsable),
            ("[1]", BadCall::Unparsable),
            ("{}", BadCall::NoAgents),
            (r#"{"agents":[]}"#, BadCall::NoAgents),
            (r#"{"agents":[{"agent":"1"}]}"#, BadCall::NoQueue),
            (r#"{"agents":[{"queue":"1"}]}"#, BadCall::NoAgent),
            (
                r#"{"agents":[{"queue":"1","agent":"a b"}]}"#,
                BadCall::NoAgent,
            ),
            (
                r#"{"agents":[{"queue":1,"agent":"2"}]}"#,
                BadCall::Unparsable,
            ),
        ] {
            let call = Call::parse(Verb::Pause, body.as_bytes());
            assert_eq!(call, Err(why), "{body}");
        }
    }
}

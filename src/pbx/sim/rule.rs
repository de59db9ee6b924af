//! One fault rule: when something goes wrong at the simulated PBX, how often, and what.

use serde::{Deserialize, Serialize};

use super::Seat;
use super::call::Verb;

/// Most rules at a time.
pub(super) const RULES_MAX: usize = 1_000;

/// When something happens, how often, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// How many more times it takes effect (on calls; on items for an item fault); absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    pub effect: Effect,
}

/// What a call or item must be like; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Verb>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// For what happens to a whole call: it is one of the call's agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// From 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call takes longer: of all rules that match, the sum.
    Latency(Latency),
    /// One agent's part goes wrong: of several rules that match, the first.
    Item(ItemFault),
    /// The whole call goes wrong: of several rules that match, the first.
    Call(CallFault),
}

/// `ms`, and up to `jitter_ms` on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub ms: u32,
    #[serde(default)]
    pub jitter_ms: u32,
}

/// What goes wrong with one agent's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ItemFault {
    /// Not applied; the item says `ok: 0` and this text.
    Fail { text: String },
    /// The reply does not name the agent.
    Missing {
        #[serde(default)]
        applied: bool,
    },
}

/// What goes wrong with a whole call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CallFault {
    /// `success: 0`, this text and no items, with HTTP 200 or 400; nothing is applied.
    RefuseBatch { http: u16, text: String },
    /// Any HTTP status; nothing is applied.
    Status {
        code: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
        #[serde(default)]
        body: String,
    },
    /// The connection closes without a reply; nothing is applied.
    DropBefore,
    /// Applied; then the connection closes without a reply.
    DropAfter,
    /// No reply, ever.
    Hang {
        #[serde(default)]
        applied: bool,
    },
    /// HTTP 200 and a body that is no JSON.
    Garbage {
        #[serde(default)]
        applied: bool,
    },
}

/// The two forms of the header `Retry-After`, both given in seconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    Seconds(u32),
    DateIn(u32),
}

/// A rule that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    #[error("there can be at most 1000 rules")]
    TooMany,
    #[error("match.probability must be from 0 to 1")]
    Probability,
    #[error("refuse_batch.http must be 200 or 400")]
    RefusalStatus,
    #[error("status.code must be from 200 to 599")]
    Status,
}

impl Rule {
    pub(super) fn check(&self) -> Result<(), BadRule> {
        let probability = self.matching.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(BadRule::Probability);
        }
        match &self.effect {
            Effect::Call(CallFault::RefuseBatch { http, .. }) if ![200, 400].contains(http) => {
                Err(BadRule::RefusalStatus)
            }
            Effect::Call(CallFault::Status { code, .. }) if !(200..600).contains(code) => {
                Err(BadRule::Status)
            }
            Effect::Call(_) | Effect::Item(_) | Effect::Latency(_) => Ok(()),
        }
    }
}

impl Match {
    /// Whether it is for every call of an action, whoever it names.
    pub(super) fn covers_all(&self, verb: Verb) -> bool {
        let Self {
            action,
            queue: None,
            agent: None,
            probability: None,
        } = self
        else {
            return false;
        };
        action.is_none_or(|action| action == verb)
    }

    /// Leaves the probability out.
    pub(super) fn covers(&self, verb: Verb, (queue, agent): &Seat) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|it| it == found);
        self.action.is_none_or(|action| action == verb)
            && is(&self.queue, queue.as_str())
            && is(&self.agent, agent.as_str())
    }
}

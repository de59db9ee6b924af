//! What came back from the PBX, and what follows for each agent (CONTRACT §3).

use std::sync::Arc;
use std::time::Duration;

use super::job::{Agent, PbxQueue};

/// How one call ended. The shell decides which it is; the engine decides what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// HTTP 2xx with a readable envelope: `success` true, or items present. Agents that it does not name are unreported.
    Answered(Vec<ItemAnswer>),
    /// The batch as a whole was refused (200 with `success` false and no items, 400 and other 4xx not named elsewhere).
    Refused { message: Arc<str> },
    /// Nothing was applied, and trying again later is right (connect refused, 408, 425, 429, 5xx; a refusal whose text is in the retry list).
    Transient {
        message: Arc<str>,
        retry_after: Option<Duration>,
    },
    /// It may have been applied (timeout or reset after the request was written; 2xx with a body that cannot be read).
    Ambiguous { message: Arc<str> },
    /// Wrong for every job alike (401, 403, 404, 405, 415, 501, any 3xx): the PBX or its settings.
    Fault {
        message: Arc<str>,
        retry_after: Option<Duration>,
    },
}

/// What the PBX said of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAnswer {
    pub queue: PbxQueue,
    pub agent: Agent,
    pub answer: Answer,
    /// The PBX's own text; `None` if it gave none.
    pub message: Option<Arc<str>>,
}

/// The meaning of one item, its text already looked up in `[pbx.texts]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `ok` true.
    Done,
    /// The agent is no member of the queue.
    Absent,
    NoSuchQueue,
    NotDynamic,
    /// In the retry list: this item only.
    Busy,
    /// Any other text, or none.
    Refused,
}

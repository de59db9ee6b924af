//! What a producer asked for, parsed once and valid for ever.
//!
//! Every type here can only be built valid, so nothing downstream checks again.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

/// Most agents of one job, repeats included (CONTRACT §2).
pub const AGENTS_MAX: usize = 500;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// What is to happen to an agent on a PBX queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// No new calls are offered; the agent stays a member of the queue.
    Pause,
    /// The agent leaves the queue.
    Remove,
}

impl Action {
    /// Both actions, in the order in which a shift end asks for them.
    pub const ALL: [Self; 2] = [Self::Pause, Self::Remove];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Remove => "remove",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest queue or agent number, in bytes (CONTRACT §2).
pub const NUMBER_BYTES_MAX: usize = 32;

/// A queue or agent number: 1–32 of `[0-9A-Za-z*#_+-]`; leading zeros count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    bytes: [u8; NUMBER_BYTES_MAX],
    len: u8,
}

/// The text is no queue or agent number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 32 characters of 0-9 A-Z a-z * # _ + -")]
pub struct BadNumber;

impl Number {
    fn parse(text: &str) -> Result<Self, BadNumber> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"*#_+-".contains(&b);
        if !text.bytes().all(allowed) {
            return Err(BadNumber);
        }
        let len = u8::try_from(text.len()).map_err(|_| BadNumber)?;
        let mut bytes = [0; NUMBER_BYTES_MAX];
        let room = bytes
            .get_mut(..text.len())
            .filter(|room| !room.is_empty())
            .ok_or(BadNumber)?;
        room.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

/// The number of a PBX queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PbxQueue(Number);

/// The number of an agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Agent(Number);

impl PbxQueue {
    pub fn parse(text: &str) -> Result<Self, BadNumber> {
        Number::parse(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Agent {
    pub fn parse(text: &str) -> Result<Self, BadNumber> {
        Number::parse(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PbxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PbxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Longest job id, in characters (CONTRACT §2).
pub const JOB_ID_CHARS_MAX: usize = 128;

/// The producer's own id of a job: 1–128 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

/// The text is no job id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 printable characters")]
pub struct BadJobId;

impl JobId {
    pub fn parse(text: &str) -> Result<Self, BadJobId> {
        let long = text.chars().take(JOB_ID_CHARS_MAX + 1).count() > JOB_ID_CHARS_MAX;
        if text.is_empty() || long || text.chars().any(char::is_control) {
            return Err(BadJobId);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A UUID prints as 36 printable characters.
impl From<Uuid> for JobId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.to_string().into())
    }
}

impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespace of [`OutcomeId`]s, a constant of the format: a new one would make every old outcome look new.
const OUTCOME_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_9d1e_7a34_4b6d_9c12_c10c_c007_0001);

/// The key by which consumers drop repeated outcomes, and by which the worker knows a job and agent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutcomeId(pub Uuid);

impl OutcomeId {
    /// `UUIDv5` of job id, queue, agent, action and the replay number if any (CONTRACT §5). A part that is not known is empty.
    ///
    /// Parts are joined by NUL, which none of them can hold, so different parts never make the same name.
    pub fn of(job_id: &str, queue: &str, agent: &str, action: &str, replay: Option<u32>) -> Self {
        let mut name = Vec::with_capacity(job_id.len() + queue.len() + agent.len() + 24);
        for part in [job_id, queue, agent, action] {
            name.extend_from_slice(part.as_bytes());
            name.push(0);
        }
        if let Some(replay) = replay {
            name.extend_from_slice(replay.to_string().as_bytes());
        }
        Self(Uuid::new_v5(&OUTCOME_NAMESPACE, &name))
    }
}

impl fmt::Display for OutcomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What the producer said that the outcomes only repeat; the engine never looks inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Echo {
    /// `None` where it is the job id itself.
    pub correlation_id: Option<Box<str>>,
    pub reason: Option<Box<str>>,
    /// The JSON text of an object, byte for byte as it came.
    pub context: Option<Box<str>>,
    /// The W3C trace context header of the job's message.
    pub traceparent: Option<Box<str>>,
}

/// One agent of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub agent: Agent,
    pub outcome_id: OutcomeId,
}

/// A pause or remove job for one PBX queue and one to 500 agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub action: Action,
    pub queue: PbxQueue,
    /// Never empty, each agent once, in the job's own order: [`Job::new`] sees to it.
    targets: Box<[Target]>,
    pub requested_at: Option<Timestamp>,
    /// Never act at or after this; the default of the settings is already in it. `None`: never expires.
    pub expires_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub dry_run: bool,
    pub echo: Arc<Echo>,
}

/// What [`Job::new`] takes: the fields of a job without its agents.
#[derive(Debug, Clone)]
pub struct JobHead {
    pub id: JobId,
    pub action: Action,
    pub queue: PbxQueue,
    pub requested_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub dry_run: bool,
    /// How many times the job came back from the dead letters (CONTRACT §6).
    pub replay: Option<u32>,
    pub echo: Echo,
}

impl Job {
    /// A job for `first` and `others`; an agent that repeats is folded into its first place.
    pub fn new(head: JobHead, first: Agent, others: &[Agent]) -> Self {
        let mut agents = Vec::with_capacity(1 + others.len());
        let mut seen =
            std::collections::HashSet::with_hasher(foldhash::fast::FixedState::default());
        for &agent in std::iter::once(&first).chain(others) {
            if others.is_empty() || seen.insert(agent) {
                agents.push(agent);
            }
        }
        let JobHead {
            id,
            action,
            queue,
            requested_at,
            expires_at,
            received_at,
            dry_run,
            replay,
            echo,
        } = head;
        let name = |agent: Agent| {
            OutcomeId::of(
                id.as_str(),
                queue.as_str(),
                agent.as_str(),
                action.as_str(),
                replay,
            )
        };
        let targets = agents
            .into_iter()
            .map(|agent| Target {
                agent,
                outcome_id: name(agent),
            })
            .collect();
        let echo = Arc::new(echo);
        Self {
            id,
            action,
            queue,
            targets,
            requested_at,
            expires_at,
            received_at,
            dry_run,
            echo,
        }
    }

    /// The agents, at least one, each once.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

#[cfg(test)]
impl Job {
    /// A job for the agents of PBX queue 1, to test with.
    pub(super) fn sample(id: &str, action: Action, agents: &[&str]) -> Arc<Self> {
        let head = JobHead {
            id: JobId::parse(id).unwrap(),
            action,
            queue: PbxQueue::parse("1").unwrap(),
            requested_at: None,
            expires_at: None,
            received_at: Timestamp(0),
            dry_run: false,
            replay: None,
            echo: Echo::default(),
        };
        let agents: Vec<Agent> = agents
            .iter()
            .map(|agent| Agent::parse(agent).unwrap())
            .collect();
        Arc::new(Self::new(head, agents[0], &agents[1..]))
    }
}

/// Which opening of the jobs channel a delivery came on; grows by one with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// The engine's opaque handle on a delivery. Within an epoch, tickets order as their deliveries arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub epoch: Epoch,
    /// The AMQP delivery tag.
    pub tag: u64,
}

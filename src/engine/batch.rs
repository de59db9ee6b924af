//! One call's worth of agents: one PBX queue, one action, at least one agent, each once.

use std::fmt;
use std::time::Duration;

use super::job::{Action, Agent, PbxQueue};

/// Numbers the calls of one process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// Why a batch left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It held `batch.max_agents`.
    Full,
    /// Its oldest job had waited `batch.linger`.
    Linger,
    /// Prefetch was used up, so no more company could come.
    Prefetch,
    /// The worker is draining.
    Drain,
    /// Somebody wanted it to leave.
    Flush,
    /// It carries what an earlier call left undone.
    Retry,
    /// A part of a batch that the PBX refused as a whole.
    Split,
    /// It asks a PBX that was failing whether it is back.
    Probe,
}

impl Cause {
    pub const ALL: [Self; 8] = [
        Self::Full,
        Self::Linger,
        Self::Prefetch,
        Self::Drain,
        Self::Flush,
        Self::Retry,
        Self::Split,
        Self::Probe,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Linger => "linger",
            Self::Prefetch => "prefetch",
            Self::Drain => "drain",
            Self::Flush => "flush",
            Self::Retry => "retry",
            Self::Split => "split",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call to make. At least one agent from birth; the lane that builds it holds each agent once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub queue: PbxQueue,
    pub action: Action,
    pub cause: Cause,
    /// Which call this is for the agent in it that was called most often, from 1.
    pub attempt: u32,
    /// How long the job in it has waited that came first.
    pub waited: Duration,
    first: Agent,
    others: Vec<Agent>,
}

impl Batch {
    /// A first call, without a wait.
    pub fn new(
        id: BatchId,
        (queue, action): (PbxQueue, Action),
        cause: Cause,
        first: Agent,
        others: Vec<Agent>,
    ) -> Self {
        Self {
            id,
            queue,
            action,
            cause,
            attempt: 1,
            waited: Duration::ZERO,
            first,
            others,
        }
    }

    /// The same, for agents that have waited, and of which one was called before.
    pub(super) fn after(self, attempt: u32, waited: Duration) -> Self {
        Self {
            attempt,
            waited,
            ..self
        }
    }

    pub fn agents(&self) -> impl Iterator<Item = Agent> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Agents in the call, at least 1.
    pub fn size(&self) -> u32 {
        u32::try_from(self.others.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }
}

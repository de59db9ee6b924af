//! One call's worth of agents: one PBX queue, one action, at least one agent, each once.

use std::fmt;

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
    /// It carries what an earlier call left undone.
    Retry,
    /// A part of a batch that the PBX refused as a whole.
    Split,
    /// It asks a PBX that was failing whether it is back.
    Probe,
}

impl Cause {
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Linger,
        Self::Prefetch,
        Self::Drain,
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
    first: Agent,
    others: Vec<Agent>,
}

impl Batch {
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
            first,
            others,
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

//! Work for the engine alone, the same for each who measures it: no broker, no PBX, no clock.
//!
//! One job's way is four events and what they cause: delivered, called (with 49 others), told, settled.

mod jobs;
mod rig;

pub use jobs::Tagged;
pub use rig::Rig;

use clap::ValueEnum;

/// Jobs after which the engine's memory is full.
pub const MEMORY_FULL: usize = 150_000;

/// Jobs that the broker hands in before any of them is answered. Fewer than prefetch allows.
pub const JOBS_AT_ONCE: usize = 500;

/// What the engine is given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Runs of 50 jobs of one PBX queue, as when a shift ends.
    Runs,
    /// 40 PBX queues take turns, job by job.
    Interleaved,
    /// Runs, in an engine that remembers as much as it ever will: each job pushes an old one out.
    FullMemory,
    /// Jobs of 500 agents each.
    ManyAgents,
    /// Runs, and every agent is busy at its first call.
    Retries,
}

impl Scenario {
    /// Jobs done before measuring begins, so that what is measured is no start.
    pub fn jobs_before(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::Retries => 2_000,
            Self::FullMemory => MEMORY_FULL,
            Self::ManyAgents => 8,
        }
    }

    /// Jobs to measure.
    pub fn jobs_measured(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::Retries => 10_000,
            // Enough for a hash table that is full to tidy itself up at least once.
            Self::FullMemory => 40_000,
            Self::ManyAgents => 40,
        }
    }

    /// Jobs handed in before any of them is answered.
    pub fn jobs_at_once(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::FullMemory | Self::Retries => JOBS_AT_ONCE,
            Self::ManyAgents => 4,
        }
    }

    fn agents_per_job(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::FullMemory | Self::Retries => 1,
            Self::ManyAgents => 500,
        }
    }

    /// The PBX queue of job `n`, of [`jobs::QUEUES`].
    fn queue(self, n: usize) -> usize {
        match self {
            Self::Runs | Self::FullMemory | Self::Retries => n / 50 % jobs::QUEUES,
            Self::Interleaved | Self::ManyAgents => n % jobs::QUEUES,
        }
    }
}

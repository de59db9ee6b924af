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
    /// Runs of jobs with the largest context.
    LargeContexts,
}

impl Scenario {
    /// Jobs done before measuring begins, so that what is measured is no start.
    pub fn jobs_before(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::Retries => 2_000,
            Self::FullMemory => MEMORY_FULL,
            Self::LargeContexts => 20_000,
            Self::ManyAgents => 8,
        }
    }

    /// Jobs to measure.
    pub fn jobs_measured(self) -> usize {
        match self {
            Self::Runs | Self::Interleaved | Self::Retries | Self::LargeContexts => 10_000,
            // Enough for a hash table that is full to tidy itself up at least once.
            Self::FullMemory => 40_000,
            Self::ManyAgents => 40,
        }
    }

    /// Jobs handed in before any of them is answered.
    pub fn jobs_at_once(self) -> usize {
        match self {
            Self::ManyAgents => 4,
            Self::Runs
            | Self::Interleaved
            | Self::FullMemory
            | Self::Retries
            | Self::LargeContexts => JOBS_AT_ONCE,
        }
    }

    fn agents_per_job(self) -> usize {
        match self {
            Self::ManyAgents => 500,
            Self::Runs
            | Self::Interleaved
            | Self::FullMemory
            | Self::Retries
            | Self::LargeContexts => 1,
        }
    }

    /// The context that jobs bring.
    fn context(self) -> Option<Box<str>> {
        (self == Self::LargeContexts).then(|| format!(r#"{{"note":"{:4000}"}}"#, "").into())
    }

    /// The PBX queue of job `n`, of [`jobs::QUEUES`].
    fn queue(self, n: usize) -> usize {
        match self {
            Self::Interleaved | Self::ManyAgents => n % jobs::QUEUES,
            Self::Runs | Self::FullMemory | Self::Retries | Self::LargeContexts => {
                n / 50 % jobs::QUEUES
            }
        }
    }
}

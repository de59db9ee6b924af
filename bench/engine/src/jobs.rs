//! Jobs as a producer would ask for them, already read.

use std::sync::Arc;

use clockout::engine::job::{Action, Agent, Echo, Job, JobHead, JobId, PbxQueue, Timestamp};

use super::Scenario;

pub(super) const QUEUES: usize = 40;

/// The wall clock throughout.
pub(super) const AT: Timestamp = Timestamp(1_800_000_000_000);

/// A job and its delivery tag.
pub type Tagged = (u64, Arc<Job>);

/// Jobs `first` to `first + n` of a scenario; no two have the same id or agent.
#[expect(
    clippy::unwrap_used,
    reason = "what cannot be set up has nothing to measure"
)]
pub(super) fn of(scenario: Scenario, first: usize, n: usize) -> Vec<Tagged> {
    let job = |n: usize| {
        let head = JobHead {
            id: JobId::parse(&format!("shift-2291/{n}")).unwrap(),
            action: Action::Pause,
            queue: PbxQueue::parse(&format!("{}", 10_000 + scenario.queue(n))).unwrap(),
            requested_at: Some(AT),
            expires_at: Some(Timestamp(AT.0 + 3_600_000)),
            received_at: AT,
            dry_run: false,
            replay: None,
            echo: Echo {
                reason: Some("shift end".into()),
                context: scenario.context(),
                ..Echo::default()
            },
        };
        let size = scenario.agents_per_job();
        let agents: Vec<Agent> = (n * size..(n + 1) * size)
            .map(|agent| Agent::parse(&agent.to_string()).unwrap())
            .collect();
        let (first, others) = agents.split_first().unwrap();
        Arc::new(Job::new(head, *first, others))
    };
    (first as u64 + 1..)
        .zip((first..first + n).map(job))
        .collect()
}

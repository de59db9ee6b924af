//! The jobs that a contestant is given.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

const SHIFT: &str = "shift-2291/";

/// Where in the work a job of an agent stands: decides how well jobs can be gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Runs of jobs of one PBX queue and action, as when an operator empties a queue.
    Runs { length: usize },
    /// The PBX queues take turns job by job, and with each turn the action changes: the worst for gathering.
    Interleaved { queues: usize },
    /// A pause for each agent, the PBX queues taking turns: a shift ends everywhere at once.
    ShiftEnd { queues: usize },
}

/// The id of the `n`th job.
pub(crate) fn id(n: usize) -> String {
    format!("{SHIFT}{n}")
}

/// Reverses [`id`].
pub(crate) fn number(id: &str) -> Option<usize> {
    id.strip_prefix(SHIFT)?.parse().ok()
}

/// Jobs to publish, made one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jobs {
    pub(crate) count: usize,
    pub(crate) order: Order,
    /// Agents named by each job.
    pub(crate) agents: usize,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs { length } => write!(f, "runs of {length}"),
            Self::Interleaved { queues } => write!(f, "{queues} queues interleaved"),
            Self::ShiftEnd { queues } => write!(f, "shift end on {queues} queues"),
        }
    }
}

impl Order {
    /// PBX queue and action of the `n`th job.
    fn place(self, n: usize) -> (usize, &'static str) {
        let (queue, turn) = match self {
            Self::Runs { length } => (n / length % 100, n / length / 100),
            Self::Interleaved { queues } => (n % queues, n / queues),
            Self::ShiftEnd { queues } => (n % queues, 0),
        };
        let action = if turn.is_multiple_of(2) {
            "pause"
        } else {
            "remove"
        };
        (10_000 + queue, action)
    }
}

impl Jobs {
    pub(crate) fn one_agent_each(count: usize, order: Order) -> Self {
        Self {
            count,
            order,
            agents: 1,
        }
    }

    /// Outcomes that they lead to.
    pub(crate) fn outcomes(&self) -> usize {
        self.count * self.agents
    }

    /// Their bodies. No agent is named twice, so nothing is saved by folding.
    pub(crate) fn bodies(self) -> impl Iterator<Item = Value> {
        let requested_at = Timestamp::now().to_string();
        (0..self.count).map(move |n| {
            let (queue, action) = self.order.place(n);
            let agent = |i: usize| (100_000 + n * self.agents + i).to_string();
            let (named, agents): (_, Value) = if self.agents == 1 {
                ("agent", agent(0).into())
            } else {
                ("agents", (0..self.agents).map(agent).collect())
            };
            json!({
                "job_id": id(n),
                "action": action,
                "queue": queue.to_string(),
                (named): agents,
                "reason": "shift end",
                "requested_at": requested_at,
            })
        })
    }
}

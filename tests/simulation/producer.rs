//! The producers: what they publish to the jobs queue, sound or not.

use std::sync::Arc;

use clockout::engine::Event;
use clockout::engine::job::{
    Action, Agent, Echo, Job, JobHead, JobId, OutcomeId, PbxQueue, Ticket, Timestamp,
};
use clockout::engine::outcome::{Code, Conclusion, Outcome};
use fastrand::Rng;

use crate::faults::{Rates, Swarm, chance};

/// A message of the jobs queue, as the worker's parser would read it.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Job { head: JobHead, agents: Vec<Agent> },
    Unreadable { outcome: OutcomeId, code: Code },
}

/// An outcome that must come; `asked`: `None` if the message is no valid job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) id: OutcomeId,
    pub(crate) asked: Option<Asked>,
}

/// What is asked for one agent, and so what the PBX must show if it is told as applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) action: Action,
    pub(crate) queue: PbxQueue,
    pub(crate) agent: Agent,
}

/// Publishes and remembers what was published, to publish it again.
#[derive(Debug, Default)]
pub(crate) struct Producer {
    published: Vec<Message>,
}

/// The agents of every PBX queue; the same numbers on each.
pub(crate) fn agents(swarm: &Swarm) -> impl Iterator<Item = Agent> + '_ {
    (0..swarm.agents_per_queue).map(|n| Agent::parse(&format!("{}", 500 + n)).expect("a number"))
}

impl Producer {
    pub(crate) fn message(&mut self, rng: &mut Rng, swarm: &Swarm, now: Timestamp) -> Message {
        let message = self
            .again(rng, &swarm.rates)
            .unwrap_or_else(|| self.fresh(rng, swarm, now));
        self.published.push(message.clone());
        message
    }

    /// One of the messages published before, the same or as a replay of it.
    fn again(&self, rng: &mut Rng, rates: &Rates) -> Option<Message> {
        let mut message = rng
            .choice(&self.published)
            .filter(|_| chance(rng, rates.repeated))?
            .clone();
        if let Message::Job { head, .. } = &mut message
            && chance(rng, rates.replayed)
        {
            head.replay = Some(head.replay.unwrap_or(0) + 1);
        }
        Some(message)
    }

    fn fresh(&self, rng: &mut Rng, swarm: &Swarm, now: Timestamp) -> Message {
        let rates = &swarm.rates;
        let number = self.published.len();
        if chance(rng, rates.unreadable) {
            return Message::Unreadable {
                outcome: OutcomeId::of(&format!("unreadable-{number}"), "", "", "", None),
                code: Code::MalformedJson,
            };
        }
        let number = if chance(rng, rates.id_reused) {
            rng.usize(0..=number)
        } else {
            number
        };
        let company = if chance(rng, rates.many_agents) {
            rng.usize(1..=8)
        } else {
            1
        };
        let age = if chance(rng, rates.stale) {
            rng.i64(1_000..20_000)
        } else {
            0
        };
        let head = JobHead {
            id: JobId::parse(&format!("job-{number}")).expect("a job id"),
            action: if chance(rng, rates.remove) {
                Action::Remove
            } else {
                Action::Pause
            },
            queue: *rng.choice(&swarm.queues).expect("at least one queue"),
            requested_at: (rng.u32(0..5) > 0).then_some(Timestamp(now.0 - age)),
            expires_at: chance(rng, rates.expiring)
                .then(|| Timestamp(now.0 + rng.i64(-100..15_000))),
            received_at: now,
            dry_run: swarm.settings.policy.dry_run || chance(rng, rates.dry_run),
            replay: None,
            echo: Echo::default(),
        };
        let everyone: Vec<Agent> = agents(swarm).collect();
        let agents = (0..company)
            .filter_map(|_| rng.choice(&everyone).copied())
            .collect();
        Message::Job { head, agents }
    }
}

impl Message {
    /// The event by which the worker learns of it.
    pub(crate) fn delivered(&self, ticket: Ticket, redelivered: bool, now: Timestamp) -> Event {
        match self {
            Self::Job { head, agents } => Event::Delivered {
                ticket,
                job: Arc::new(job(head, agents, now)),
                redelivered,
            },
            Self::Unreadable { outcome, code } => Event::Unreadable {
                ticket,
                outcome: Arc::new(unreadable(*outcome, *code, now)),
                redelivered,
            },
        }
    }

    /// What the producer may expect to be told.
    pub(crate) fn expected(&self) -> Vec<Expected> {
        match self {
            Self::Job { head, agents } => {
                let (action, queue) = (head.action, head.queue);
                let job = job(head, agents, head.received_at);
                let asked = |agent| {
                    Some(Asked {
                        action,
                        queue,
                        agent,
                    })
                };
                let targets = job.targets().iter();
                targets
                    .map(|t| Expected {
                        id: t.outcome_id,
                        asked: asked(t.agent),
                    })
                    .collect()
            }
            Self::Unreadable { outcome, .. } => vec![Expected {
                id: *outcome,
                asked: None,
            }],
        }
    }
}

fn job(head: &JobHead, agents: &[Agent], received_at: Timestamp) -> Job {
    let (first, others) = agents.split_first().expect("at least one agent");
    Job::new(
        JobHead {
            received_at,
            ..head.clone()
        },
        *first,
        others,
    )
}

fn unreadable(id: OutcomeId, code: Code, now: Timestamp) -> Outcome {
    Outcome {
        id,
        job_id: None,
        action: None,
        queue: None,
        agent: None,
        dry_run: false,
        requested_at: None,
        received_at: now,
        echo: Arc::new(Echo::default()),
        conclusion: Conclusion {
            code,
            message: None,
            attempts: 0,
            batch: None,
            superseded_by: None,
            completed_at: now,
        },
    }
}

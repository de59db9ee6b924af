//! Which outcomes are to be seen: first as routing keys, so that RabbitMQ sends no others, then each by what it says.

use clap::Args;
use clockout::engine::job::{Action, Agent, JobId, PbxQueue};
use clockout::engine::outcome::Status;
use clockout::wire::outcome::routing_pattern;
use clockout::wire::told::Outcome;

use crate::cli::values;

/// Most bindings of the queue; where more would be needed, RabbitMQ sends everything.
const PATTERNS_MAX: usize = 64;

/// An outcome passes if it passes each list that is not empty.
#[derive(Debug, Default, Args)]
pub(super) struct Filter {
    /// Only outcomes of this action.
    #[arg(long = "action", value_name = "ACTION", value_delimiter = ',', value_parser = values::action())]
    actions: Vec<Action>,
    /// Only outcomes of this status.
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', value_parser = values::status())]
    statuses: Vec<Status>,
    /// Only outcomes of this PBX queue.
    #[arg(long = "queue", value_name = "QUEUE", value_delimiter = ',', value_parser = PbxQueue::parse)]
    queues: Vec<PbxQueue>,
    /// Only outcomes of this agent.
    #[arg(long = "agent", value_name = "AGENT", value_delimiter = ',', value_parser = Agent::parse)]
    agents: Vec<Agent>,
    /// Only outcomes of this job.
    #[arg(long = "job-id", value_name = "ID", value_parser = JobId::parse)]
    job_ids: Vec<JobId>,
    /// Only outcomes of jobs with this correlation id.
    #[arg(long = "correlation-id", value_name = "ID")]
    correlation_ids: Vec<String>,
}

impl Filter {
    /// Routing keys that fit every outcome which passes.
    pub(super) fn patterns(&self) -> Vec<String> {
        let mut patterns = Vec::new();
        for action in each_or_any(&self.actions) {
            for status in each_or_any(&self.statuses) {
                for queue in each_or_any(&self.queues) {
                    patterns.push(routing_pattern(action.copied(), status.copied(), queue));
                }
            }
        }
        if patterns.len() > PATTERNS_MAX {
            return vec![routing_pattern(None, None, None)];
        }
        patterns
    }

    pub(super) fn passes(&self, outcome: &Outcome) -> bool {
        let status = Some(outcome.status.as_str());
        allows(&self.actions, outcome.action.as_deref(), |action| {
            action.as_str()
        }) && allows(&self.statuses, status, |status| status.as_str())
            && allows(&self.queues, outcome.queue.as_deref(), PbxQueue::as_str)
            && allows(&self.agents, outcome.agent.as_deref(), Agent::as_str)
            && allows(&self.job_ids, outcome.job_id.as_deref(), JobId::as_str)
            && allows(
                &self.correlation_ids,
                outcome.correlation_id.as_deref(),
                String::as_str,
            )
    }
}

/// Each value of a list; of an empty one, that any will do.
fn each_or_any<T>(list: &[T]) -> Vec<Option<&T>> {
    if list.is_empty() {
        return vec![None];
    }
    list.iter().map(Some).collect()
}

fn allows<T>(list: &[T], given: Option<&str>, name: impl Fn(&T) -> &str) -> bool {
    let is_listed = |given: &str| list.iter().any(|value| name(value) == given);
    list.is_empty() || given.is_some_and(is_listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::outcome::sample;

    fn some_queue(number: &str) -> PbxQueue {
        PbxQueue::parse(number).unwrap()
    }

    #[test]
    fn rabbitmq_is_asked_for_no_more_than_can_pass() {
        assert_eq!(Filter::default().patterns(), ["*.*.*.*"]);
        let filter = Filter {
            statuses: vec![Status::Failed, Status::Unknown],
            queues: vec![some_queue("10000")],
            ..Filter::default()
        };
        assert_eq!(filter.patterns(), ["*.failed.*.10000", "*.unknown.*.10000"]);
    }

    #[test]
    fn where_too_many_bindings_would_be_needed_rabbitmq_is_asked_for_all() {
        let queues = |count: usize| Filter {
            queues: (0..count).map(|n| some_queue(&n.to_string())).collect(),
            ..Filter::default()
        };
        assert_eq!(queues(PATTERNS_MAX).patterns().len(), PATTERNS_MAX);
        assert_eq!(queues(PATTERNS_MAX + 1).patterns(), ["*.*.*.*"]);
    }

    #[test]
    fn an_outcome_has_to_pass_every_filter_by_any_of_its_values() {
        let outcome = sample();
        let passing = || Filter {
            actions: vec![Action::Remove, Action::Pause],
            statuses: vec![Status::Succeeded],
            queues: vec![some_queue("10000")],
            agents: vec![Agent::parse("570").unwrap()],
            job_ids: vec![JobId::parse("j-1").unwrap()],
            correlation_ids: vec!["c-1".to_owned()],
        };
        assert!(Filter::default().passes(&outcome));
        assert!(passing().passes(&outcome));
        let refusing = [
            Filter {
                actions: vec![Action::Remove],
                ..passing()
            },
            Filter {
                statuses: vec![Status::Failed],
                ..passing()
            },
            Filter {
                queues: vec![some_queue("010000")],
                ..passing()
            },
            Filter {
                agents: vec![Agent::parse("0570").unwrap()],
                ..passing()
            },
            Filter {
                job_ids: vec![JobId::parse("j").unwrap()],
                ..passing()
            },
            Filter {
                correlation_ids: vec!["j-1".to_owned()],
                ..passing()
            },
        ];
        for filter in refusing {
            assert!(!filter.passes(&outcome), "{filter:?}");
        }
        let unread = Outcome {
            queue: None,
            ..outcome
        };
        assert!(!passing().passes(&unread));
    }
}

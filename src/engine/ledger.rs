//! What is owed for each delivery before it may be acknowledged: its outcomes, its dead letter, and its turn.
//!
//! Knows nothing of calls. A ticket leaves here exactly once: finished, or void with its channel. When it is acknowledged is up to [`super::acks`].

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::DeadLetter;
use super::bounded::Map;
use super::job::{Agent, Job, PbxQueue, Ticket, Timestamp};
use super::outcome::Outcome;

/// One agent of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) ticket: Ticket,
    /// The agent's place in the delivery's job.
    pub(super) position: usize,
}

/// One agent's place on one PBX queue.
type Membership = (PbxQueue, Agent);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: Map<Ticket, Record>,
    /// Open tickets of each agent on each PBX queue, in order of arrival.
    lines: Map<Membership, Vec<Ticket>>,
    /// Outcomes not yet confirmed, over all records.
    owed: usize,
}

/// An outcome that calls for a dead letter, with its agent's place in the job.
type Failure = (usize, Arc<Outcome>);

#[derive(Debug)]
struct Record {
    /// `None`: the message was no valid job.
    job: Option<Arc<Job>>,
    /// Agents without an outcome yet.
    undecided: usize,
    /// Outcomes without a confirm yet.
    untold: usize,
    /// Outcomes that call for a dead letter, by the agent's place in the job.
    failures: Vec<Failure>,
    burial: Burial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burial {
    NotAsked,
    Asked,
    Done,
}

impl Record {
    fn is_done(&self) -> bool {
        self.undecided == 0
            && self.untold == 0
            && (self.failures.is_empty() || self.burial == Burial::Done)
    }
}

impl Ledger {
    /// Outcomes not yet confirmed.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Notes a delivery. `job`: `None` if it is no valid job; it then owes one outcome.
    pub(super) fn open(&mut self, ticket: Ticket, job: Option<Arc<Job>>) {
        let undecided = job.as_ref().map_or(1, |job| job.targets().len());
        for target in job
            .iter()
            .flat_map(|job| job.targets().iter().map(|t| (job.queue, t.agent)))
        {
            let line = self.lines.entry(target);
            line.or_insert_with(|| Vec::with_capacity(1)).push(ticket);
        }
        self.owed += undecided;
        let (failures, burial) = (Vec::new(), Burial::NotAsked);
        self.records.insert(
            ticket,
            Record {
                job,
                undecided,
                untold: 0,
                failures,
                burial,
            },
        );
    }

    /// An outcome was decided for one agent of a delivery. With `bury` it calls for a dead letter, which comes
    /// back as soon as all agents are decided.
    pub(super) fn decided(
        &mut self,
        claim: Claim,
        outcome: &Arc<Outcome>,
        bury: bool,
        now: Timestamp,
    ) -> Option<DeadLetter> {
        let record = self.records.get_mut(&claim.ticket)?;
        record.undecided -= 1;
        record.untold += 1;
        if bury {
            record.failures.push((claim.position, Arc::clone(outcome)));
        }
        if record.undecided > 0 || record.failures.is_empty() {
            return None;
        }
        record.burial = Burial::Asked;
        record.failures.sort_by_key(|(position, _)| *position);
        dead_letter(&record.failures, now)
    }

    /// The dead letter of a delivery once more, to try again.
    pub(super) fn dead_letter(&self, ticket: Ticket, now: Timestamp) -> Option<DeadLetter> {
        dead_letter(&self.records.get(&ticket)?.failures, now)
    }

    /// One outcome is confirmed. Adds the deliveries that are finished by it, in order.
    pub(super) fn told(&mut self, ticket: Ticket, settled: &mut Vec<Ticket>) {
        if let Some(record) = self.records.get_mut(&ticket) {
            record.untold -= 1;
            self.owed -= 1;
        }
        self.settle(ticket, settled);
    }

    /// The outcomes that a delivery's dead letter stands for, in the job's order.
    pub(super) fn failures(&self, ticket: Ticket) -> Vec<Arc<Outcome>> {
        let failures = self
            .records
            .get(&ticket)
            .into_iter()
            .flat_map(|record| &record.failures);
        failures.map(|(_, outcome)| Arc::clone(outcome)).collect()
    }

    /// The dead letter is confirmed. Adds the deliveries that are finished by it, in order.
    pub(super) fn buried(&mut self, ticket: Ticket, settled: &mut Vec<Ticket>) {
        if let Some(record) = self.records.get_mut(&ticket) {
            record.burial = Burial::Done;
        }
        self.settle(ticket, settled);
    }

    /// Every ticket is void.
    pub(super) fn void(&mut self) {
        *self = Self::default();
    }

    /// Takes out `ticket` and whatever waited only for its turn behind it (CONTRACT §4.8).
    fn settle(&mut self, ticket: Ticket, settled: &mut Vec<Ticket>) {
        let mut next = Some(ticket);
        let mut others = Vec::new();
        while let Some(ticket) = next.take().or_else(|| others.pop()) {
            let Some(record) = self.records.get(&ticket) else {
                continue;
            };
            if !record.is_done() || !self.has_its_turn(ticket, record) {
                continue;
            }
            let Some(record) = self.records.remove(&ticket) else {
                continue;
            };
            settled.push(ticket);
            let Some(job) = record.job else { continue };
            for target in job.targets() {
                let Entry::Occupied(mut line) = self.lines.entry((job.queue, target.agent)) else {
                    continue;
                };
                line.get_mut().remove(0);
                if let Some(next) = line.get().first() {
                    others.push(*next);
                } else {
                    line.remove();
                }
            }
        }
    }

    fn has_its_turn(&self, ticket: Ticket, record: &Record) -> bool {
        record.job.iter().all(|job| {
            job.targets().iter().all(|target| {
                self.lines
                    .get(&(job.queue, target.agent))
                    .and_then(|line| line.first())
                    == Some(&ticket)
            })
        })
    }
}

/// Status and code of the first that failed, the highest number of attempts (CONTRACT §6).
fn dead_letter(failures: &[Failure], at: Timestamp) -> Option<DeadLetter> {
    let (_, first) = failures.first()?;
    Some(DeadLetter {
        code: first.conclusion.code,
        message: first.conclusion.message.clone(),
        agents: failures
            .iter()
            .filter_map(|(_, outcome)| outcome.agent)
            .collect(),
        attempts: failures
            .iter()
            .map(|(_, o)| o.conclusion.attempts)
            .max()
            .unwrap_or_default(),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::super::job::Action::Pause;
    use super::super::job::Epoch;
    use super::super::outcome::Code;
    use super::*;

    const AT: Timestamp = Timestamp(0);

    fn ticket(tag: u64) -> Ticket {
        Ticket {
            epoch: Epoch(1),
            tag,
        }
    }

    /// Decides one agent; `Some` if the job's dead letter is due.
    fn decide(ledger: &mut Ledger, job: &Job, claim: Claim, code: Code) -> Option<DeadLetter> {
        let attempts = u32::try_from(claim.position).unwrap() + 1;
        let outcome = Outcome::sample(job, claim.position, code, attempts);
        ledger.decided(claim, &outcome, code.status().is_buried(), AT)
    }

    fn settled(confirm: impl FnOnce(&mut Vec<Ticket>)) -> Vec<u64> {
        let mut released = Vec::new();
        confirm(&mut released);
        released.iter().map(|ticket| ticket.tag).collect()
    }

    /// Invariant 1.
    #[test]
    fn a_job_is_released_only_when_every_outcome_and_the_dead_letter_are_confirmed() {
        let mut ledger = Ledger::default();
        let job = Job::sample("a", Pause, &["570", "553"]);
        ledger.open(ticket(1), Some(Arc::clone(&job)));
        let claim = |position| Claim {
            ticket: ticket(1),
            position,
        };
        assert_eq!(decide(&mut ledger, &job, claim(1), Code::NotMember), None);
        assert!(settled(|released| ledger.told(ticket(1), released)).is_empty());
        assert!(decide(&mut ledger, &job, claim(0), Code::Applied).is_some());
        assert!(settled(|released| ledger.told(ticket(1), released)).is_empty());
        assert_eq!(settled(|released| ledger.buried(ticket(1), released)), [1]);
        assert_eq!(ledger.owed(), 0);
    }

    /// CONTRACT §4.8.
    #[test]
    fn a_later_job_of_an_agent_waits_for_its_turn() {
        let mut ledger = Ledger::default();
        let jobs = [("a", &["570"][..]), ("b", &["570", "553"]), ("c", &["553"])];
        let jobs = jobs.map(|(id, agents)| Job::sample(id, Pause, agents));
        for (tag, job) in (1..).zip(&jobs) {
            ledger.open(ticket(tag), Some(Arc::clone(job)));
        }
        let mut released = Vec::new();
        for (tag, position) in [(3, 0), (2, 0), (2, 1), (1, 0)] {
            let claim = Claim {
                ticket: ticket(tag),
                position,
            };
            let job = &jobs[usize::try_from(tag).unwrap() - 1];
            decide(&mut ledger, job, claim, Code::Applied);
            released.push(settled(|released| ledger.told(ticket(tag), released)));
        }
        assert_eq!(released, [vec![], vec![], vec![], vec![1, 2, 3]]);
    }

    /// CONTRACT §6: the first that failed in the job's order, the highest number of attempts.
    #[test]
    fn a_dead_letter_speaks_for_all_that_failed() {
        let mut ledger = Ledger::default();
        let job = Job::sample("a", Pause, &["570", "553", "548"]);
        ledger.open(ticket(1), Some(Arc::clone(&job)));
        let claim = |position| Claim {
            ticket: ticket(1),
            position,
        };
        decide(&mut ledger, &job, claim(2), Code::Exhausted);
        decide(&mut ledger, &job, claim(0), Code::Applied);
        let letter = decide(&mut ledger, &job, claim(1), Code::NotMember).unwrap();
        assert_eq!(letter.code, Code::NotMember);
        assert_eq!(letter.attempts, 3);
        let agents: Vec<_> = letter.agents.iter().map(Agent::as_str).collect();
        assert_eq!(agents, ["553", "548"]);
    }
}

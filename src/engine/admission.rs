//! A delivery comes in: told again, attached to what is under way, turned away, or put into its lane.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Action, Job, JobId, Target, Ticket};
use super::lane::{Ending, Lane, Leavers, Waiter};
use super::ledger::Claim;
use super::outcome::{Code, Conclusion, Outcome};
use super::{Engine, LaneId, Now, Slot};

/// Least time between two looks for expired jobs.
const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(50);

const EXPIRED: &str = "its time passed before it was done";

/// Why a job is not even put into its lane.
struct Objection {
    code: Code,
    message: Option<Arc<str>>,
    superseded_by: Option<JobId>,
}

impl Objection {
    fn new(code: Code, message: &str) -> Self {
        Self {
            code,
            message: Some(message.into()),
            superseded_by: None,
        }
    }
}

impl Engine {
    pub(super) fn admit(&mut self, now: Now, ticket: Ticket, job: &Arc<Job>, redelivered: bool) {
        self.acks.open(now.elapsed, ticket, Some(Arc::clone(job)));
        self.ledger.open(ticket, Some(Arc::clone(job)));
        for (position, target) in job.targets().iter().enumerate() {
            let claim = Claim { ticket, position };
            let id = target.outcome_id;
            let known = || redelivered || self.acks.is_shared(ticket, target);
            let recalled = self.memory.recall(id, now.elapsed, ticket.epoch, known);
            if let Some(recalled) = recalled {
                self.tell(now, claim, &recalled.outcome, recalled.bury);
            } else if let Some(waiter) = self.waiter(job, target) {
                if waiter.claim.is_some() {
                    waiter.echoes.push(claim);
                } else {
                    waiter.claim = Some(claim);
                }
            } else {
                self.admit_one(now, claim, job, *target);
            }
        }
        if let Some(id) = self.by_queue.get(&job.queue).copied() {
            self.refresh(now.elapsed, id);
        }
    }

    /// A message that is no valid job: one outcome, one dead letter. Only RabbitMQ's own redelivery is recognised: a message
    /// sent again may well be the corrected one.
    pub(super) fn turn_away(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: &Arc<Outcome>,
        redelivered: bool,
    ) {
        self.acks.open(now.elapsed, ticket, None);
        self.ledger.open(ticket, None);
        let claim = Claim {
            ticket,
            position: 0,
        };
        let recalled = redelivered
            .then(|| self.memory.recall_invalid(outcome.id, ticket.epoch))
            .flatten();
        if let Some(recalled) = recalled {
            self.tell(now, claim, &recalled.outcome, recalled.bury);
        } else {
            self.memory
                .remember(outcome, now.elapsed, Some(ticket.epoch));
            self.tell(now, claim, outcome, true);
        }
    }

    fn admit_one(&mut self, now: Now, claim: Claim, job: &Arc<Job>, target: Target) {
        let progress = self.memory.take_progress(&target.outcome_id);
        let (job, claim) = (Arc::clone(job), Some(claim));
        let (echoes, replaces) = (Vec::new(), Vec::new());
        let waiter = Waiter {
            job,
            target,
            claim,
            echoes,
            replaces,
            progress,
        };
        if let Some(Objection {
            code,
            message,
            superseded_by,
        }) = self.objection(now, &waiter)
        {
            self.conclude(
                now,
                Ending {
                    waiter,
                    code,
                    message,
                    superseded_by,
                },
            );
            return;
        }
        if let Some(at) = waiter.job.expires_at {
            let wait = u64::try_from(at.0.saturating_sub(now.wall.0)).unwrap_or_default();
            let at = now.elapsed.saturating_add(Duration::from_millis(wait));
            self.sweep_at = Some(self.sweep_at.map_or(at, |sweep| sweep.min(at)));
        }
        let id = self.lane_of(&waiter);
        if let Some(slot) = self.lanes.get_mut(id) {
            slot.lane.admit(now.elapsed, waiter);
        }
    }

    fn objection(&self, now: Now, waiter: &Waiter) -> Option<Objection> {
        let job = &waiter.job;
        let policy = &self.settings.policy;
        let allowed = match job.action {
            Action::Pause => policy.pause,
            Action::Remove => policy.remove,
        };
        if !allowed {
            let why = format!(
                "the settings of this worker (policy.actions) do not allow {}",
                job.action
            );
            return Some(Objection::new(Code::ForbiddenByPolicy, &why));
        }
        let off_limits = |queues: &Vec<_>| !queues.contains(&job.queue);
        if job.action == Action::Remove && policy.remove_queues.as_ref().is_some_and(off_limits) {
            let why = "the settings of this worker (policy.remove_queues) do not allow removing from this queue";
            return Some(Objection::new(Code::ForbiddenByPolicy, why));
        }
        if waiter.expired(now.wall) {
            return Some(Objection::new(Code::Expired, EXPIRED));
        }
        if let Some(by) = self.newer(waiter) {
            let (code, message) = (Code::Superseded, None);
            return Some(Objection {
                code,
                message,
                superseded_by: Some(by),
            });
        }
        let dry_run = job.dry_run || policy.dry_run;
        dry_run.then(|| Objection::new(Code::DryRun, "dry run: the PBX was not called"))
    }

    /// The job that was asked for after this one and is already carried out or waiting (CONTRACT §4.6).
    fn newer(&self, waiter: &Waiter) -> Option<JobId> {
        let requested_at = waiter.job.requested_at?;
        let (queue, agent) = (waiter.job.queue, waiter.target.agent);
        let lane = self.by_queue.get(&queue).and_then(|id| self.lanes.get(*id));
        let waiting = lane
            .and_then(|slot| slot.lane.newest(agent))
            .filter(|(at, _)| *at > requested_at)
            .map(|(at, job)| (at, job.clone()));
        let carried_out = self.memory.newer(queue, agent, requested_at);
        let newest = waiting
            .into_iter()
            .chain(carried_out)
            .max_by_key(|(at, _)| *at);
        newest.map(|(_, job)| job)
    }

    fn waiter(&mut self, job: &Job, target: &Target) -> Option<&mut Waiter> {
        let id = *self.by_queue.get(&job.queue)?;
        self.lanes
            .get_mut(id)?
            .lane
            .find(target.agent, target.outcome_id)
    }

    fn lane_of(&mut self, waiter: &Waiter) -> LaneId {
        let queue = waiter.job.queue;
        *self.by_queue.entry(queue).or_insert_with(|| {
            self.lanes.insert(Slot {
                lane: Lane::new(queue),
                queued: false,
                pressed: None,
                alarm: None,
            })
        })
    }

    /// Sees off those who left a lane.
    pub(super) fn depart(&mut self, now: Now, leavers: Leavers) {
        for ending in leavers.ended {
            self.conclude(now, ending);
        }
        for waiter in leavers.dropped {
            for waiter in std::iter::once(&waiter).chain(&waiter.replaces) {
                self.memory
                    .keep_progress(waiter.target.outcome_id, waiter.progress.clone());
            }
        }
    }

    /// Ends one agent of one job: remembered, and told to everyone who asked.
    pub(super) fn conclude(&mut self, now: Now, ending: Ending) {
        let Ending {
            waiter,
            code,
            message,
            superseded_by,
        } = ending;
        let message = message.or_else(|| match (code, &superseded_by) {
            (Code::Expired, _) => Some(EXPIRED.into()),
            (Code::Superseded, Some(by)) => Some(format!("superseded by job {by}").into()),
            _ => None,
        });
        let outcome = Arc::new(Outcome::of(
            &waiter.job,
            waiter.target,
            Conclusion {
                code,
                message,
                attempts: waiter.progress.calls,
                batch: waiter.progress.batch,
                superseded_by,
                completed_at: now.wall,
            },
        ));
        self.memory.remember(
            &outcome,
            now.elapsed,
            waiter.claim.map(|claim| claim.ticket.epoch),
        );
        let bury = code.status().is_buried();
        if let Some(claim) = waiter.claim {
            self.tell(now, claim, &outcome, bury);
        }
        for echo in waiter.echoes {
            self.tell(now, echo, &outcome, false);
        }
    }

    /// Ends what has expired while it waited.
    pub(super) fn sweep(&mut self, now: Now) {
        let ids: Vec<LaneId> = self.lanes.iter().map(|(id, _)| id).collect();
        let mut next = None;
        for id in ids {
            let mut leavers = Leavers::default();
            let lane = self.lanes.get_mut(id).map(|slot| &mut slot.lane);
            let expiry = lane.and_then(|lane| lane.sweep(now, &mut leavers));
            next = next.into_iter().chain(expiry).min();
            self.depart(now, leavers);
            self.refresh(now.elapsed, id);
        }
        self.sweep_at = next.map(|at| {
            let wait = u64::try_from(at.0.saturating_sub(now.wall.0)).unwrap_or_default();
            now.elapsed
                .saturating_add(Duration::from_millis(wait).max(SWEEP_INTERVAL_MIN))
        });
    }
}

//! One agent of one job: what this process owes it, and what the PBX has answered for it so far.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Cause;
use clockout::engine::job::{Action, Agent, Job, Target, Ticket, Timestamp};
use clockout::engine::outcome::{BatchRef, Code, Conclusion};
use clockout::engine::verdict::Answer;
use clockout::engine::{Now, Settings};

use super::{Moment, Obligations};

/// How far the dead letter of a job has come, as far as it names this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    None,
    Sent(Ticket),
    Confirmed,
}

/// What a call said of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Item(Answer),
    Unreported,
    RefusedAlone,
    RefusedInCompany,
    Transient,
    Ambiguous,
    Fault,
}

/// One call that held the agent for this job, and has ended.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) batch: BatchRef,
    pub(super) cause: Cause,
    pub(super) seen: Seen,
    pub(super) message: Option<Arc<str>>,
    pub(super) ended: Timestamp,
    /// `false`: it may have been left out, for a remove that replaces it.
    pub(super) certain: bool,
}

#[derive(Debug)]
pub(super) struct Obligation {
    pub(super) job: Arc<Job>,
    pub(super) agent: Agent,
    /// Number of its first delivery to this process.
    pub(super) first_arrival: u64,
    /// Number of the delivery that it waits by, or last waited by: the order of CONTRACT §4.3.
    pub(super) arrival: u64,
    /// When that delivery came.
    pub(super) delivered: Duration,
    /// The deliveries that wait for it.
    pub(super) tickets: BTreeSet<Ticket>,
    /// Turned away on arrival by CONTRACT §4.6, for certain.
    stale: bool,
    pub(super) attempts: Vec<Attempt>,
    /// Number of the newest delivery when a call first held it.
    pub(super) first_called: Option<u64>,
    /// When nothing was left to do: the PBX had the last word, or an outcome was told.
    pub(super) ended: Option<Duration>,
    pub(super) told: Option<Conclusion>,
    pub(super) letter: Letter,
    /// What the dedup window has let go of under the same id.
    earlier: Vec<Life>,
}

/// A request for an agent, however long ago: what CONTRACT §4.6 weighs others against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) first_arrival: u64,
    pub(super) requested_at: Option<Timestamp>,
    carried_out: bool,
}

/// One delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'s> {
    pub(super) moment: Moment<'s>,
    /// Deliveries of this process so far, this one included.
    pub(super) number: u64,
    pub(super) ticket: Ticket,
    pub(super) redelivered: bool,
}

impl Arrival<'_> {
    /// Brings an obligation: a new one, one that is known, or one that the dedup window has let go.
    pub(super) fn bring(self, job: &Arc<Job>, target: Target, obligations: &mut Obligations) {
        let mut obligation = match obligations.remove(&target.outcome_id) {
            // What RabbitMQ itself delivers again is known however late it comes.
            Some(known) if self.redelivered || !known.is_forgotten(self.moment) => known,
            Some(forgotten) => self.fresh(job, target, forgotten.lives().collect(), obligations),
            None => self.fresh(job, target, Vec::new(), obligations),
        };
        if obligation.tickets.is_empty() {
            obligation.arrival = self.number;
            obligation.delivered = self.moment.now.elapsed;
        }
        obligation.tickets.insert(self.ticket);
        obligations.insert(target.outcome_id, obligation);
    }

    fn fresh(
        self,
        job: &Arc<Job>,
        target: Target,
        earlier: Vec<Life>,
        others: &Obligations,
    ) -> Obligation {
        let newer = |life: Life| job.requested_at.is_some() && life.requested_at > job.requested_at;
        // Whether a newer request for the same agent waits or was carried out.
        let outdated_by = |other: &Obligation| {
            let waits = other.asks(self.moment) && newer(other.life());
            let was_done = other.lives().any(|life| life.carried_out && newer(life));
            other.is_at(job, target.agent) && (waits || was_done)
        };
        let was_done = earlier.iter().any(|&life| life.carried_out && newer(life));
        Obligation {
            job: Arc::clone(job),
            agent: target.agent,
            first_arrival: self.number,
            arrival: self.number,
            delivered: self.moment.now.elapsed,
            tickets: BTreeSet::new(),
            stale: was_done || others.values().any(outdated_by),
            attempts: Vec::new(),
            first_called: None,
            ended: None,
            told: None,
            letter: Letter::None,
            earlier,
        }
    }
}

impl Obligation {
    /// Whether it wants a call: held, not ended, not expired, not turned away, and allowed.
    pub(super) fn asks(&self, moment: Moment<'_>) -> bool {
        !self.tickets.is_empty()
            && self.ended.is_none()
            && !self.stale
            && !self.is_expired(moment.now)
            && !self.job.dry_run
            && self.is_permitted(moment.settings)
    }

    pub(super) fn is_expired(&self, now: Now) -> bool {
        self.job
            .expires_at
            .is_some_and(|expires_at| expires_at <= now.wall)
    }

    pub(super) fn is_permitted(&self, settings: &Settings) -> bool {
        let policy = &settings.policy;
        let queues = policy.remove_queues.as_ref();
        let queue_allowed = queues.is_none_or(|queues| queues.contains(&self.job.queue));
        match self.job.action {
            Action::Pause => policy.pause,
            Action::Remove => policy.remove && queue_allowed,
        }
    }

    fn is_forgotten(&self, moment: Moment<'_>) -> bool {
        let window = moment.settings.dedup_window;
        let over = self
            .ended
            .is_some_and(|ended| ended + window < moment.now.elapsed);
        over && self.tickets.is_empty()
    }

    fn life(&self) -> Life {
        Life {
            first_arrival: self.first_arrival,
            requested_at: self.job.requested_at,
            carried_out: self.is_carried_out(),
        }
    }

    /// This one and those before it.
    pub(super) fn lives(&self) -> impl Iterator<Item = Life> {
        self.earlier.iter().copied().chain([self.life()])
    }

    pub(super) fn is_at(&self, job: &Job, agent: Agent) -> bool {
        self.job.queue == job.queue && self.agent == agent
    }

    fn is_carried_out(&self) -> bool {
        self.last_seen() == Some(Seen::Item(Answer::Done))
    }

    /// Whether it is a remove that waited and ended without success, so that the pauses that it replaced are due again.
    pub(super) fn is_failed_remove(&self) -> bool {
        let succeeded = self.saw(Seen::Item(Answer::Done)) || self.saw(Seen::Item(Answer::Absent));
        let turned_away = self.attempts.is_empty() && self.ended == Some(self.delivered);
        self.job.action == Action::Remove && self.ended.is_some() && !succeeded && !turned_away
    }

    /// Whether it ended as one whose attempts are used up, with a call of its own or without.
    pub(super) fn is_given_up(&self) -> bool {
        let code = self.told.as_ref().map(|told| told.code);
        matches!(code, Some(Code::Exhausted | Code::Ambiguous))
    }

    pub(super) fn last_seen(&self) -> Option<Seen> {
        self.attempts.last().map(|attempt| attempt.seen)
    }

    pub(super) fn saw(&self, seen: Seen) -> bool {
        self.attempts.iter().any(|attempt| attempt.seen == seen)
    }

    pub(super) fn saw_for_certain(&self, seen: Seen) -> bool {
        let mut certain = self.attempts.iter().filter(|attempt| attempt.certain);
        certain.any(|attempt| attempt.seen == seen)
    }

    /// Attempts that use up `retry.attempts_max`: the most that there may have been.
    pub(super) fn counted(&self) -> usize {
        self.attempts
            .iter()
            .filter(|attempt| attempt.counts())
            .count()
    }

    /// The least that there may have been.
    pub(super) fn counted_for_certain(&self) -> usize {
        let certain = self.attempts.iter().filter(|attempt| attempt.certain);
        certain.filter(|attempt| attempt.counts()).count()
    }

    /// The code that was told.
    pub(super) fn code(&self) -> Option<Code> {
        self.told.as_ref().map(|told| told.code)
    }

    pub(super) fn lose_tickets(&mut self) {
        self.tickets.clear();
        if let Letter::Sent(_) = self.letter {
            self.letter = Letter::None;
        }
    }
}

impl fmt::Display for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Job {
            id, action, queue, ..
        } = &*self.job;
        let seen: Vec<Seen> = self.attempts.iter().map(|attempt| attempt.seen).collect();
        let tickets: Vec<u64> = self.tickets.iter().map(|ticket| ticket.tag).collect();
        write!(
            f,
            "{id}: {action} {} on {queue}, arrival {}, ",
            self.agent, self.arrival
        )?;
        write!(f, "tickets {tickets:?}, stale {}, ", self.stale)?;
        write!(f, "called at {:?}, saw {seen:?}, ", self.first_called)?;
        write!(
            f,
            "ended {:?}, told {:?}, letter {:?}",
            self.ended,
            self.code(),
            self.letter
        )
    }
}

impl Attempt {
    /// Probes, the calls of a splitting and calls that hit every job alike use nothing up.
    fn counts(&self) -> bool {
        let refused = [Seen::RefusedAlone, Seen::RefusedInCompany, Seen::Fault];
        !is_free(self.cause) && !refused.contains(&self.seen)
    }
}

/// Whether a call that left for this cause uses up no attempt.
pub(super) fn is_free(cause: Cause) -> bool {
    matches!(cause, Cause::Probe | Cause::Split)
}

pub(super) fn attempts_max(settings: &Settings) -> usize {
    usize::try_from(settings.retry.attempts_max.get()).unwrap_or(usize::MAX)
}

//! One agent of one job: what the PBX answered for it, and what may therefore be said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Cause;
use clockout::engine::job::{Action, Agent, Job, OutcomeId, Target, Ticket};
use clockout::engine::outcome::{BatchRef, Code, Conclusion, Outcome};
use clockout::engine::verdict::Answer;
use clockout::engine::{Now, Settings};

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
    /// `false`: it may have been left out for a remove that replaces it.
    pub(super) certain: bool,
}

#[derive(Debug)]
pub(super) struct Obligation {
    pub(super) job: Arc<Job>,
    pub(super) agent: Agent,
    /// Number of its first delivery to this process.
    first_arrival: u64,
    /// Number of the delivery that it waits by, or last waited by: the order of CONTRACT §4.3.
    pub(super) arrival: u64,
    /// When it was delivered last.
    pub(super) delivered: Duration,
    /// The deliveries that wait for it.
    pub(super) tickets: BTreeSet<Ticket>,
    /// Turned away on arrival by CONTRACT §4.6, for certain.
    pub(super) stale: bool,
    pub(super) attempts: Vec<Attempt>,
    /// Attempts made before it was delivered last.
    attempts_before: usize,
    /// Number of the newest delivery when a call first held it.
    pub(super) first_called: Option<u64>,
    /// When nothing was left to do: the PBX had the last word, or an outcome was told.
    pub(super) ended: Option<Duration>,
    pub(super) told: Option<Conclusion>,
    pub(super) letter: Letter,
}

type Obligations = BTreeMap<OutcomeId, Obligation>;

/// One delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Now,
    /// Deliveries of this process so far, this one included.
    pub(super) number: u64,
    pub(super) ticket: Ticket,
    pub(super) redelivered: bool,
}

/// A delivery brings an obligation: a new one, one that is known, or one that the dedup window has let go.
pub(super) fn arrive(
    obligations: &mut Obligations,
    Arrival {
        now,
        number,
        ticket,
        redelivered,
    }: Arrival,
    job: &Arc<Job>,
    target: Target,
    settings: &Settings,
) {
    let known = obligations.remove(&target.outcome_id);
    // The dedup window lets a job go; what RabbitMQ itself delivers again is known however late it comes.
    let forgotten = !redelivered
        && known
            .as_ref()
            .is_some_and(|o| o.is_forgotten(now.elapsed, settings));
    let mut obligation = match known {
        Some(known) if !forgotten => known,
        _ => Obligation {
            job: Arc::clone(job),
            agent: target.agent,
            first_arrival: number,
            arrival: number,
            delivered: now.elapsed,
            tickets: BTreeSet::new(),
            stale: is_stale(obligations.values(), job, target.agent, now, settings),
            attempts: Vec::new(),
            attempts_before: 0,
            first_called: None,
            ended: None,
            told: None,
            letter: Letter::None,
        },
    };
    if obligation.tickets.is_empty() {
        obligation.arrival = number;
        obligation.delivered = now.elapsed;
        obligation.attempts_before = obligation.attempts.len();
    }
    obligation.tickets.insert(ticket);
    obligations.insert(target.outcome_id, obligation);
}

/// Whether a newer request for the same agent waits or was carried out a moment ago.
fn is_stale<'a>(
    mut others: impl Iterator<Item = &'a Obligation>,
    job: &Job,
    agent: Agent,
    now: Now,
    settings: &Settings,
) -> bool {
    others.any(|other| {
        other.is_at(job, agent)
            && other.job.requested_at > job.requested_at
            && job.requested_at.is_some()
            && (other.asks(now, settings) || other.is_carried_out())
    })
}

/// Whether this outcome may be told, and takes note that it was.
pub(super) fn judge(
    now: Now,
    obligations: &mut Obligations,
    outcome: &Outcome,
    settings: &Settings,
) {
    let Some(obligation) = obligations.get(&outcome.id) else {
        panic!("an outcome with an invented id: {outcome:?}")
    };
    let conclusion = &outcome.conclusion;
    obligation.check_echo(outcome);
    if let Some(told) = &obligation.told {
        assert_eq!(
            told, conclusion,
            "told differently the second time: {outcome:?}"
        );
        return;
    }
    obligation.check_code(now, conclusion, obligations, settings);
    obligation.check_counts(conclusion);
    if let Some(obligation) = obligations.get_mut(&outcome.id) {
        obligation.told = Some(conclusion.clone());
        obligation.ended.get_or_insert(now.elapsed);
    }
}

impl Obligation {
    pub(super) fn code(&self) -> Option<Code> {
        self.told.as_ref().map(|told| told.code)
    }

    pub(super) fn lose_tickets(&mut self) {
        self.tickets.clear();
        if let Letter::Sent(_) = self.letter {
            self.letter = Letter::None;
        }
    }

    fn is_at(&self, job: &Job, agent: Agent) -> bool {
        self.job.queue == job.queue && self.agent == agent
    }

    fn is_expired(&self, now: Now) -> bool {
        self.job
            .expires_at
            .is_some_and(|expires_at| expires_at <= now.wall)
    }

    fn is_forgotten(&self, now: Duration, settings: &Settings) -> bool {
        self.tickets.is_empty()
            && self
                .ended
                .is_some_and(|ended| ended + settings.dedup_window < now)
    }

    /// Whether it is a remove that waited and ended without success, so that the pauses that it replaced are due again.
    pub(super) fn is_failed_remove(&self) -> bool {
        let succeeded = self.saw(Seen::Item(Answer::Done)) || self.saw(Seen::Item(Answer::Absent));
        let turned_away = self.attempts.is_empty() && self.ended == Some(self.delivered);
        self.job.action == Action::Remove && self.ended.is_some() && !succeeded && !turned_away
    }

    fn is_carried_out(&self) -> bool {
        self.attempts
            .last()
            .is_some_and(|last| last.seen == Seen::Item(Answer::Done))
    }

    /// Whether it wants a call: held, not ended, not expired, not turned away, and allowed.
    pub(super) fn asks(&self, now: Now, settings: &Settings) -> bool {
        !self.tickets.is_empty()
            && self.ended.is_none()
            && !self.stale
            && !self.is_expired(now)
            && !self.job.dry_run
            && is_permitted(&self.job, settings)
    }

    /// Attempts that use up `retry.attempts_max`, since it was delivered last or since it first came.
    pub(super) fn counted(&self, since_delivered_last: bool) -> usize {
        let skip = if since_delivered_last {
            self.attempts_before
        } else {
            0
        };
        self.attempts
            .iter()
            .skip(skip)
            .filter(|attempt| attempt.counts())
            .count()
    }

    fn saw(&self, seen: Seen) -> bool {
        self.attempts.iter().any(|attempt| attempt.seen == seen)
    }

    fn check_echo(&self, outcome: &Outcome) {
        let Job {
            id, action, queue, ..
        } = &*self.job;
        let said = (
            outcome.job_id.as_ref(),
            outcome.action,
            outcome.queue,
            outcome.agent,
        );
        assert_eq!(
            said,
            (Some(id), Some(*action), Some(*queue), Some(self.agent))
        );
        assert_eq!(outcome.dry_run, self.job.dry_run, "dry_run of {outcome:?}");
    }

    fn check_counts(&self, conclusion: &Conclusion) {
        let said = usize::try_from(conclusion.attempts).unwrap_or(usize::MAX);
        let certain = self
            .attempts
            .iter()
            .filter(|attempt| attempt.certain)
            .count();
        let right = (certain..=self.attempts.len()).contains(&said);
        assert!(
            right,
            "{certain} attempts at least, but {conclusion:?}: {self}"
        );
        if certain == self.attempts.len() {
            let last = self.attempts.last().map(|attempt| attempt.batch);
            assert_eq!(conclusion.batch, last, "batch of {conclusion:?}");
        }
    }

    fn check_code(
        &self,
        now: Now,
        conclusion: &Conclusion,
        all: &Obligations,
        settings: &Settings,
    ) {
        use Action::{Pause, Remove};
        let last = self.attempts.last();
        let seen = last.map(|attempt| attempt.seen);
        let item = |answer| seen == Some(Seen::Item(answer));
        let given_up = self.counted(false) >= attempts_max(settings);
        let in_doubt = self.saw(Seen::Ambiguous) || self.saw(Seen::Unreported);
        let right = match (conclusion.code, self.job.action) {
            (Code::Applied, _) => item(Answer::Done),
            (Code::AlreadyAbsent, Remove) => item(Answer::Absent) && !self.saw(Seen::Ambiguous),
            (Code::PresumedApplied, Remove) => item(Answer::Absent) && in_doubt,
            (Code::NotMember, Pause) => item(Answer::Absent),
            (Code::NoSuchQueue, _) => item(Answer::NoSuchQueue),
            (Code::NotDynamic, _) => item(Answer::NotDynamic),
            (Code::Rejected, _) => self.is_rejected(settings) && said(last) == conclusion.message,
            (Code::Exhausted, _) => {
                given_up && (item(Answer::Busy) || seen == Some(Seen::Transient))
            }
            (Code::Unreported, _) => given_up && self.saw(Seen::Unreported),
            (Code::Ambiguous, _) => given_up && self.saw(Seen::Ambiguous),
            (Code::ForbiddenByPolicy, _) => !is_permitted(&self.job, settings),
            (Code::Superseded, _) => self.is_superseded(conclusion, all),
            (Code::Expired, _) => self.is_expired(now),
            (Code::DryRun, _) => self.job.dry_run,
            _ => false,
        };
        assert!(right, "{conclusion:?} does not follow from {self}");
    }

    /// The PBX refused it twice by name, or in its last attempt, or once as a batch of its own.
    fn is_rejected(&self, settings: &Settings) -> bool {
        let refused = Seen::Item(Answer::Refused);
        let times = self
            .attempts
            .iter()
            .filter(|attempt| attempt.seen == refused)
            .count();
        let last = self.attempts.last().map(|attempt| attempt.seen);
        last == Some(Seen::RefusedAlone)
            || (last == Some(refused)
                && (times >= 2 || self.counted(false) >= attempts_max(settings)))
    }

    /// A newer request was there before it, or a pause's remove came after it and succeeded.
    fn is_superseded(&self, conclusion: &Conclusion, all: &Obligations) -> bool {
        all.values().any(|by| {
            let newer = by.first_arrival < self.first_arrival
                && by.job.requested_at > self.job.requested_at;
            let replaced = by.first_arrival > self.first_arrival
                && (self.job.action, by.job.action) == (Action::Pause, Action::Remove)
                && by.attempts.last().is_some_and(|last| {
                    matches!(last.seen, Seen::Item(Answer::Done | Answer::Absent))
                });
            by.is_at(&self.job, self.agent)
                && conclusion.superseded_by.as_ref() == Some(&by.job.id)
                && (newer || replaced)
        })
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
            "{id}: {action} {} on {queue}, arrival {}, tickets {tickets:?}, ",
            self.agent, self.arrival
        )?;
        write!(
            f,
            "stale {}, called at {:?}, saw {seen:?}, ",
            self.stale, self.first_called
        )?;
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

pub(super) fn is_free(cause: Cause) -> bool {
    matches!(cause, Cause::Probe | Cause::Split)
}

pub(super) fn attempts_max(settings: &Settings) -> usize {
    usize::try_from(settings.retry.attempts_max.get()).unwrap_or(usize::MAX)
}

fn said(attempt: Option<&Attempt>) -> Option<Arc<str>> {
    attempt.and_then(|attempt| attempt.message.clone())
}

fn is_permitted(job: &Job, settings: &Settings) -> bool {
    let policy = &settings.policy;
    let queues = policy.remove_queues.as_ref();
    match job.action {
        Action::Pause => policy.pause,
        Action::Remove => policy.remove && queues.is_none_or(|queues| queues.contains(&job.queue)),
    }
}

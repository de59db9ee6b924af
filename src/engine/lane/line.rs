//! What is open for one agent on one PBX queue, in the order of arrival.
//!
//! Only the front entry may be called; the rest wait behind it. So order per agent is a property of the shape.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::job::{Action, Job, JobId, OutcomeId, Target, Timestamp};
use super::super::ledger::Claim;
use super::super::verdict::Progress;

/// One job waiting for what becomes of one agent.
#[derive(Debug)]
pub(in super::super) struct Waiter {
    pub(in super::super) job: Arc<Job>,
    pub(in super::super) target: Target,
    /// `None`: the channel that the job came on is gone. It is answered from memory when RabbitMQ delivers the job again.
    pub(in super::super) claim: Option<Claim>,
    /// The same job sent again meanwhile; each is told on its own.
    pub(in super::super) echoes: Vec<Claim>,
    /// Pauses that this remove stands in for, until it is known how it ends.
    pub(in super::super) replaces: Vec<Waiter>,
    pub(in super::super) progress: Progress,
}

impl Waiter {
    pub(in super::super) fn expired(&self, wall: Timestamp) -> bool {
        self.job.expires_at.is_some_and(|at| at <= wall)
    }

    /// Deliveries that wait for it or are replaced by it.
    fn claims(&self) -> usize {
        let replaced: usize = self.replaces.iter().map(Self::claims).sum();
        1 + self.echoes.len() + replaced
    }

    /// Stands in, from now on, for pauses that came before it and whose own remove has failed.
    pub(in super::super) fn inherit(&mut self, released: &mut Vec<Self>) {
        if self.job.action == Action::Remove {
            released.append(&mut self.replaces);
            self.replaces = std::mem::take(released);
        }
    }

    fn void(&mut self) {
        self.claim = None;
        self.echoes.clear();
        self.replaces.iter_mut().for_each(Self::void);
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind another entry of its agent.
    Behind,
    /// May leave with the next batch.
    Ready,
    /// Waits for its retry.
    Later { due: Duration },
    /// In a part of a batch that was refused as a whole.
    Split,
    /// In the call under way.
    Called,
}

/// Waiting jobs for one agent and one action: they share one place in a call.
#[derive(Debug)]
pub(super) struct Entry {
    /// Orders the entries of a lane as they came.
    pub(super) seq: u64,
    pub(super) since: Duration,
    pub(super) action: Action,
    pub(super) place: Place,
    /// Has waited enough: leaves with the next batch, whatever the linger.
    pub(super) urgent: bool,
    /// Never empty.
    pub(super) waiters: Vec<Waiter>,
}

impl Entry {
    fn new((since, seq): (Duration, u64), action: Action, urgent: bool) -> Self {
        Self {
            seq,
            since,
            action,
            place: Place::Behind,
            urgent,
            // Nearly always one.
            waiters: Vec::with_capacity(1),
        }
    }

    /// Most calls that one of its jobs has behind it.
    pub(super) fn calls(&self) -> u32 {
        let calls = self.waiters.iter().map(|waiter| waiter.progress.calls);
        calls.max().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Line(pub(super) VecDeque<Entry>);

/// What an arriving job did to a line.
#[derive(Debug)]
pub(super) enum Joined {
    /// It shares the place of waiting jobs that ask for the same.
    Folded,
    /// It took the place of waiting pauses; `shelved` is where their entry stood, if anywhere.
    Replaced { shelved: Option<(Place, u64)> },
    /// It waits on its own.
    Appended,
}

impl Line {
    /// Lets a job join: folded into waiting jobs that ask for the same (CONTRACT §4.4), in place of a waiting pause
    /// (§4.5), or behind everything that came before (§4.3).
    pub(super) fn join(&mut self, now: Duration, seq: u64, mut waiter: Waiter) -> Joined {
        let action = waiter.job.action;
        let mut entry = Entry::new((now, seq), action, false);
        let mut joined = Joined::Appended;
        match self.0.back_mut().filter(|last| last.place != Place::Called) {
            Some(last) if last.action == action => {
                last.waiters.push(waiter);
                return Joined::Folded;
            }
            Some(pause) if action == Action::Remove => {
                waiter.replaces = std::mem::take(&mut pause.waiters);
                (entry.seq, entry.since, entry.urgent) = (pause.seq, pause.since, pause.urgent);
                let shelved = (pause.place != Place::Behind).then_some((pause.place, pause.seq));
                joined = Joined::Replaced { shelved };
                self.0.pop_back();
            }
            Some(_) | None => {}
        }
        match self.0.back_mut() {
            Some(before) if before.place != Place::Called && before.action == action => {
                before.waiters.push(waiter);
            }
            Some(_) | None => {
                entry.waiters.push(waiter);
                self.0.reserve_exact(1);
                self.0.push_back(entry);
            }
        }
        joined
    }

    /// Puts pauses whose remove did not succeed back at `index`, together with a pause that waits there already.
    pub(super) fn restore(
        &mut self,
        index: usize,
        now: Duration,
        seq: u64,
        mut pauses: Vec<Waiter>,
    ) {
        if pauses.is_empty() {
            return;
        }
        match self.0.get_mut(index) {
            Some(next) if next.action == Action::Pause && next.place != Place::Called => {
                pauses.append(&mut next.waiters);
                next.waiters = pauses;
            }
            Some(_) | None => {
                let mut entry = Entry::new((now, seq), Action::Pause, true);
                entry.waiters = pauses;
                self.0.insert(index.min(self.0.len()), entry);
            }
        }
    }

    /// Folds the entry at `index` into the one before it, if nothing stands between them any more and both ask for the same.
    pub(super) fn join_neighbours(&mut self, index: usize) -> bool {
        let Some((before, next)) = index.checked_sub(1).and_then(|at| {
            let (front, back) = self.0.make_contiguous().split_at_mut_checked(index)?;
            Some((front.get_mut(at)?, back.first_mut()?))
        }) else {
            return false;
        };
        let joins = before.place != Place::Called && before.action == next.action;
        if joins {
            before.waiters.append(&mut next.waiters);
            self.0.remove(index);
        }
        joins
    }

    /// Puts an entry that was called back to the front, together with waiting jobs that ask for the same.
    pub(super) fn give_back(&mut self, mut entry: Entry) {
        entry.place = Place::Behind;
        if let Some(next) = self
            .0
            .front_mut()
            .filter(|next| next.action == entry.action)
        {
            entry.waiters.append(&mut next.waiters);
            self.0.pop_front();
        }
        self.0.push_front(entry);
    }

    /// Whether a job that waits here, and is not one that a remove replaces, has expired.
    pub(super) fn has_expired(&self, wall: Timestamp) -> bool {
        let mut waiters = self.0.iter().flat_map(|entry| &entry.waiters);
        waiters.any(|waiter| waiter.expired(wall))
    }

    /// The waiter whose outcome has this id, also if it is a pause that a remove replaces.
    pub(super) fn find(&mut self, id: OutcomeId) -> Option<&mut Waiter> {
        fn within(waiters: &mut [Waiter], id: OutcomeId) -> Option<&mut Waiter> {
            waiters.iter_mut().find_map(|waiter| {
                if waiter.target.outcome_id == id {
                    return Some(waiter);
                }
                within(&mut waiter.replaces, id)
            })
        }
        self.0
            .iter_mut()
            .find_map(|entry| within(&mut entry.waiters, id))
    }

    /// Deliveries that wait here.
    pub(super) fn claims(&self) -> usize {
        let waiters = self.0.iter().flat_map(|entry| &entry.waiters);
        waiters.map(Waiter::claims).sum()
    }

    /// The number of the foremost entry that is not under way.
    pub(super) fn next_seq(&self) -> Option<u64> {
        let next = self.0.iter().find(|entry| entry.place != Place::Called);
        next.map(|entry| entry.seq)
    }

    /// The jobs that wait for the call under way.
    pub(super) fn called(&self) -> impl Iterator<Item = &Waiter> {
        let front = self.0.front();
        let called = front.filter(|entry| entry.place == Place::Called);
        called.into_iter().flat_map(|entry| &entry.waiters)
    }

    /// The job in this line that was asked for last, of those that say when.
    pub(super) fn newest(&self) -> Option<(Timestamp, &JobId)> {
        self.0
            .iter()
            .flat_map(|entry| &entry.waiters)
            .flat_map(|waiter| std::iter::once(waiter).chain(&waiter.replaces))
            .filter_map(|waiter| Some((waiter.job.requested_at?, &waiter.job.id)))
            .max_by_key(|(at, _)| *at)
    }

    /// Voids every ticket. What is under way stays; what waits comes out, for RabbitMQ will deliver it again.
    pub(super) fn void(&mut self) -> Vec<Waiter> {
        let mut dropped = Vec::new();
        self.0.retain_mut(|entry| {
            if entry.place == Place::Called {
                entry.waiters.iter_mut().for_each(Waiter::void);
                return true;
            }
            dropped.append(&mut entry.waiters);
            false
        });
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(id: &str, action: Action) -> Waiter {
        let job = Job::sample(id, action, &["570"]);
        let target = job.targets()[0];
        let (echoes, replaces, progress) = (Vec::new(), Vec::new(), Progress::default());
        Waiter {
            job,
            target,
            claim: None,
            echoes,
            replaces,
            progress,
        }
    }

    /// Lets jobs join in turn and writes the line down: an entry is its jobs, with those that a remove replaces behind it.
    fn line(jobs: &[(&str, Action)], called: bool) -> Vec<String> {
        let mut line = Line::default();
        for (seq, (id, action)) in (1..).zip(jobs) {
            line.join(Duration::ZERO, seq, waiter(id, *action));
            if called && seq == 1 {
                line.0[0].place = Place::Called;
            }
        }
        let name = |waiter: &Waiter| {
            let replaced: Vec<&str> = waiter.replaces.iter().map(|w| w.job.id.as_str()).collect();
            if replaced.is_empty() {
                waiter.job.id.to_string()
            } else {
                format!("{}({})", waiter.job.id, replaced.join("+"))
            }
        };
        let entry = |entry: &Entry| entry.waiters.iter().map(name).collect::<Vec<_>>().join("+");
        line.0.iter().map(entry).collect()
    }

    #[test]
    fn contract_4_a_job_folds_replaces_or_waits_behind() {
        use Action::{Pause, Remove};
        for (jobs, waiting, called) in [
            // One place in the call for several jobs that ask for the same; but what is under way takes nobody on.
            (
                &[("p", Pause), ("q", Pause)][..],
                &["p+q"][..],
                &["p", "q"][..],
            ),
            // A remove replaces a pause that waits, not one that is under way.
            (&[("p", Pause), ("r", Remove)], &["r(p)"], &["p", "r"]),
            (
                &[("p", Pause), ("q", Pause), ("r", Remove)],
                &["r(p+q)"],
                &["p", "r(q)"],
            ),
            // A pause never overtakes a remove.
            (&[("r", Remove), ("p", Pause)], &["r", "p"], &["r", "p"]),
            (
                &[("r", Remove), ("p", Pause), ("s", Remove)],
                &["r+s(p)"],
                &["r", "s(p)"],
            ),
        ] {
            assert_eq!(line(jobs, false), waiting, "waiting: {jobs:?}");
            assert_eq!(line(jobs, true), called, "first called: {jobs:?}");
        }
    }
}

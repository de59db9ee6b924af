//! Deliveries in the order of their arrival, and when to acknowledge those that are finished.
//!
//! A quorum queue writes one log entry per acknowledgement, and one acknowledgement can cover everything up to a delivery
//! tag (AMQP 0-9-1, `basic.ack`, `multiple`). So a finished delivery waits for those that came before it, within bounds:
//! what waits uses prefetch up, and comes once more if the connection is lost. Decides when, never whether.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::job::{Job, Target, Ticket};

/// Longest wait for the deliveries before it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Longest time for which a delivery that is owed something keeps others waiting: it may take minutes more, and what waits
/// half a second each is missed as room for work.
const HOLD_UP_MAX: Duration = Duration::from_secs(5);

/// Waits that end within this time of each other end together.
const GRAIN: Duration = Duration::from_millis(50);

/// A delivery, and when it came.
pub(super) type Arrived = (Ticket, Duration);

#[derive(Debug)]
pub(super) struct Acks {
    /// Most agents of finished deliveries that wait.
    waiting_max: usize,
    waiting: usize,
    line: VecDeque<Delivery>,
    /// How many in the line are acknowledged already.
    acknowledged: usize,
    /// In the order in which they finished, since when. Those acknowledged since then leave from the front.
    finished: VecDeque<(Ticket, Duration)>,
}

#[derive(Debug)]
struct Delivery {
    ticket: Ticket,
    since: Duration,
    /// `None`: no valid job, or acknowledged.
    job: Option<Arc<Job>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Owed,
    Finished,
    /// Before one that is owed something; it leaves the line with that one, or when there are many of its kind.
    Acknowledged,
}

impl Delivery {
    fn agents(&self) -> usize {
        self.job.as_ref().map_or(1, |job| job.targets().len())
    }
}

impl Acks {
    /// Lets up to three quarters of `prefetch` wait: the rest is there for work, and all are remembered that may come once more.
    pub(super) fn new(prefetch: NonZeroUsize) -> Self {
        Self {
            waiting_max: prefetch.get() * 3 / 4,
            waiting: 0,
            line: VecDeque::new(),
            acknowledged: 0,
            finished: VecDeque::new(),
        }
    }

    /// Deliveries not acknowledged, finished or not.
    pub(super) fn len(&self) -> usize {
        self.line.len() - self.acknowledged
    }

    /// The oldest delivery not acknowledged.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.line.front().map(|delivery| delivery.ticket)
    }

    /// When that came.
    pub(super) fn first_since(&self) -> Option<Duration> {
        self.line.front().map(|delivery| delivery.since)
    }

    /// When a wait ends.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let (_, since) = self.finished.front()?;
        Some(since.saturating_add(PATIENCE))
    }

    /// Whether another delivery than this one asks for the same agent under the same job id. Looks at each.
    pub(super) fn is_shared(&self, ticket: Ticket, target: &Target) -> bool {
        self.line.iter().any(|other| {
            let jobs = other.job.iter().filter(|_| other.ticket != ticket);
            jobs.flat_map(|job| job.targets()).any(|of| of == target)
        })
    }

    /// Notes a delivery. Tickets come in rising order.
    pub(super) fn open(&mut self, now: Duration, ticket: Ticket, job: Option<Arc<Job>>) {
        self.line.push_back(Delivery {
            ticket,
            since: now,
            job,
            stage: Stage::Owed,
        });
    }

    /// Nothing is owed for this delivery any more.
    pub(super) fn finish(&mut self, now: Duration, ticket: Ticket) {
        let found = self.line.binary_search_by_key(&ticket, |d| d.ticket);
        let delivery = found.ok().and_then(|at| self.line.get_mut(at));
        if let Some(delivery) = delivery.filter(|delivery| delivery.stage == Stage::Owed) {
            delivery.stage = Stage::Finished;
            self.waiting += delivery.agents();
            self.finished.push_back((ticket, now));
        }
    }

    /// Takes out what is to be acknowledged now: what has nothing before it that is owed something; of what else is finished,
    /// the first to finish: those that have waited long enough, and those that are too many; all `at_once`, or if the first
    /// in the line is owed something for long.
    pub(super) fn take(&mut self, now: Duration, at_once: bool) -> Vec<Arrived> {
        let mut taken = self.take_run();
        let overdue = self.deadline().is_some_and(|deadline| deadline <= now);
        let early = if overdue { GRAIN } else { Duration::ZERO };
        let patience = PATIENCE.saturating_sub(early);
        let at_once = at_once || self.is_held_up(now);
        while let Some((ticket, _)) = self.finished.pop_front_if(|(_, since)| {
            at_once || self.waiting > self.waiting_max || since.saturating_add(patience) <= now
        }) {
            taken.extend(self.take_out_of_turn(ticket));
        }
        if self.acknowledged > self.line.len() / 2 {
            self.line
                .retain(|delivery| delivery.stage != Stage::Acknowledged);
            self.acknowledged = 0;
        }
        taken
    }

    fn is_held_up(&self, now: Duration) -> bool {
        let since = self.first_since();
        since.is_some_and(|since| since.saturating_add(HOLD_UP_MAX) <= now)
    }

    fn take_run(&mut self) -> Vec<Arrived> {
        let mut taken = Vec::new();
        while let Some(first) = self.line.pop_front_if(|first| first.stage != Stage::Owed) {
            if first.stage == Stage::Acknowledged {
                self.acknowledged -= 1;
            } else {
                self.waiting -= first.agents();
                taken.push((first.ticket, first.since));
            }
        }
        let oldest = self.first();
        while (self.finished)
            .pop_front_if(|(ticket, _)| oldest.is_none_or(|oldest| *ticket < oldest))
            .is_some()
        {}
        taken
    }

    /// `None` if it left with a run.
    fn take_out_of_turn(&mut self, ticket: Ticket) -> Option<Arrived> {
        let at = self.line.binary_search_by_key(&ticket, |d| d.ticket).ok()?;
        let delivery = self.line.get_mut(at)?;
        self.waiting -= delivery.agents();
        self.acknowledged += 1;
        delivery.stage = Stage::Acknowledged;
        delivery.job = None;
        Some((ticket, delivery.since))
    }

    /// Every ticket is void. Returns those that were not acknowledged, in order of arrival.
    pub(super) fn void(&mut self) -> Vec<Arrived> {
        self.waiting = 0;
        self.acknowledged = 0;
        self.finished.clear();
        let line = self.line.drain(..);
        line.filter(|delivery| delivery.stage != Stage::Acknowledged)
            .map(|delivery| (delivery.ticket, delivery.since))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::{Action, Epoch};
    use super::*;

    const START: Duration = Duration::ZERO;
    const NONE: [u64; 0] = [];

    fn ticket(tag: u64) -> Ticket {
        let epoch = Epoch(1);
        Ticket { epoch, tag }
    }

    /// Prefetch 8: up to six agents wait. Six deliveries of one agent each.
    fn six() -> Acks {
        let mut acks = Acks::new(NonZeroUsize::new(8).unwrap());
        for tag in 1..=6 {
            acks.open(START, ticket(tag), None);
        }
        acks
    }

    fn finish(acks: &mut Acks, tags: &[u64]) -> Vec<u64> {
        for &tag in tags {
            acks.finish(START, ticket(tag));
        }
        tags_of(acks.take(START, false))
    }

    fn tags_of(taken: Vec<Arrived>) -> Vec<u64> {
        taken.into_iter().map(|(ticket, _)| ticket.tag).collect()
    }

    #[test]
    fn what_is_finished_waits_for_what_came_before_it() {
        let mut acks = six();
        assert_eq!(finish(&mut acks, &[3, 2]), NONE);
        assert_eq!(finish(&mut acks, &[1]), [1, 2, 3]);
        assert_eq!((acks.len(), acks.deadline()), (3, None));
    }

    #[test]
    fn no_wait_outlasts_its_patience() {
        let mut acks = six();
        finish(&mut acks, &[2]);
        acks.finish(PATIENCE / 2, ticket(4));
        assert_eq!(acks.deadline(), Some(PATIENCE));
        assert_eq!(tags_of(acks.take(PATIENCE / 2, false)), NONE);
        assert_eq!(tags_of(acks.take(PATIENCE, false)), [2]);
        assert_eq!(acks.deadline(), Some(PATIENCE / 2 + PATIENCE));
    }

    #[test]
    fn nothing_waits_for_a_delivery_that_is_owed_something_for_long() {
        let mut acks = six();
        let almost = HOLD_UP_MAX.saturating_sub(GRAIN);
        acks.finish(almost, ticket(2));
        acks.finish(almost, ticket(5));
        assert_eq!(tags_of(acks.take(almost, false)), NONE);
        assert_eq!(tags_of(acks.take(HOLD_UP_MAX, false)), [2, 5]);
        acks.open(HOLD_UP_MAX, ticket(7), None);
        acks.finish(HOLD_UP_MAX, ticket(7));
        assert_eq!(tags_of(acks.take(HOLD_UP_MAX, false)), [7]);
    }

    #[test]
    fn the_patience_of_one_does_not_end_with_that_of_another_acknowledged_before() {
        let mut acks = six();
        finish(&mut acks, &[2]);
        acks.finish(PATIENCE / 2, ticket(4));
        assert_eq!(finish(&mut acks, &[1]), [1, 2]);
        assert_eq!(acks.deadline(), Some(PATIENCE / 2 + PATIENCE));
    }

    #[test]
    fn waits_that_end_about_together_end_together() {
        let mut acks = six();
        finish(&mut acks, &[2]);
        acks.finish(GRAIN, ticket(4));
        acks.finish(GRAIN * 2, ticket(6));
        assert_eq!(tags_of(acks.take(PATIENCE, false)), [2, 4]);
        assert_eq!(acks.deadline(), Some(GRAIN * 2 + PATIENCE));
    }

    #[test]
    fn work_keeps_a_quarter_of_prefetch() {
        let mut acks = Acks::new(NonZeroUsize::new(8).unwrap());
        for tag in 1..=9 {
            acks.open(START, ticket(tag), None);
        }
        assert_eq!(finish(&mut acks, &[4, 3, 2, 5, 6, 7]), NONE);
        assert_eq!(finish(&mut acks, &[8]), [4], "as many as are too many");
        assert_eq!(acks.first(), Some(ticket(1)));
        assert_eq!(finish(&mut acks, &[9]), [3]);
        assert_eq!(acks.len(), 7);
        assert_eq!(finish(&mut acks, &[1]), [1, 2, 5, 6, 7, 8, 9]);
        assert_eq!((acks.len(), acks.deadline()), (0, None));
    }

    #[test]
    fn a_job_of_many_agents_weighs_as_much_as_many_jobs() {
        let mut acks = Acks::new(NonZeroUsize::new(4).unwrap());
        let job = Job::sample("a", Action::Pause, &["570", "553", "548", "551"]);
        acks.open(START, ticket(1), None);
        acks.open(START, ticket(2), Some(job));
        assert_eq!(finish(&mut acks, &[2]), [2]);
    }

    #[test]
    fn what_waits_to_be_acknowledged_is_not_over() {
        let mut acks = Acks::new(NonZeroUsize::new(8).unwrap());
        let job = Job::sample("a", Action::Pause, &["570"]);
        acks.open(START, ticket(1), None);
        acks.open(START, ticket(2), Some(Arc::clone(&job)));
        acks.open(START, ticket(3), Some(Arc::clone(&job)));
        finish(&mut acks, &[2]);
        let target = &job.targets()[0];
        assert!(acks.is_shared(ticket(3), target));
        finish(&mut acks, &[1]);
        assert!(!acks.is_shared(ticket(3), target));
    }

    #[test]
    fn a_drain_does_not_wait() {
        let mut acks = six();
        finish(&mut acks, &[5, 2]);
        assert_eq!(tags_of(acks.take(START, true)), [5, 2]);
        assert_eq!((acks.len(), acks.deadline()), (4, None));
    }

    #[test]
    fn a_ticket_is_taken_once() {
        let mut acks = six();
        finish(&mut acks, &[3]);
        assert_eq!(tags_of(acks.take(START, true)), [3]);
        assert_eq!(finish(&mut acks, &[3]), NONE);
        assert_eq!(finish(&mut acks, &[2]), NONE);
        assert_eq!(finish(&mut acks, &[1]), [1, 2]);
        let rest = acks.void().len();
        assert_eq!(rest, 3);
    }

    #[test]
    fn a_ticket_is_finished_once() {
        let mut acks = six();
        assert_eq!(finish(&mut acks, &[1, 1]), [1]);
        assert_eq!(finish(&mut acks, &[1]), NONE);
        assert_eq!(acks.void().len(), 5);
        assert_eq!(finish(&mut acks, &[2]), NONE);
    }
}

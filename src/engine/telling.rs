//! Outcomes and dead letters on their way to the broker, until it has confirmed them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::bounded::Map;
use super::job::{Ticket, Timestamp};
use super::ledger::Claim;
use super::outcome::Outcome;
use super::{Counted, Effect, Engine, Now, Published, TellId};

/// What is published and not yet confirmed.
#[derive(Debug)]
pub(super) struct Telling {
    hold_unroutable: bool,
    tells: Map<TellId, Tell>,
    burials: Map<Ticket, Tries>,
    /// What is to be published once more, and when.
    again: BTreeSet<(Duration, Publish)>,
    unroutable: usize,
    next: u64,
}

#[derive(Debug)]
struct Tell {
    ticket: Ticket,
    outcome: Arc<Outcome>,
    since: Timestamp,
    tries: Tries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Publish {
    Tell(TellId),
    Bury(Ticket),
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    failed: u32,
    /// The last try came back: no queue takes it.
    returned: bool,
}

/// Least wait before a publish that the broker refused or returned is tried again.
const AGAIN_MIN: Duration = Duration::from_millis(100);

impl Telling {
    pub(super) fn new(hold_unroutable: bool) -> Self {
        Self {
            hold_unroutable,
            tells: Map::default(),
            burials: Map::default(),
            again: BTreeSet::new(),
            unroutable: 0,
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tells.len() + self.burials.len()
    }

    /// What the broker has yet to answer; the rest waits for another try.
    pub(super) fn under_way(&self) -> usize {
        self.len().saturating_sub(self.again.len())
    }

    pub(super) fn unroutable(&self) -> usize {
        self.unroutable
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.again.first().map(|(at, _)| *at)
    }

    /// The session is over: what it had not confirmed is told again when its job is delivered again.
    pub(super) fn void(&mut self) {
        self.tells.clear();
        self.burials.clear();
        self.again.clear();
        self.unroutable = 0;
    }

    /// Notes what the broker said. Returns how long to wait before the next try; `None` if it is published.
    fn note(&mut self, tries: &mut Tries, published: Published) -> Option<u32> {
        let returned = published == Published::Returned;
        match (tries.returned, returned) {
            (false, true) => self.unroutable += 1,
            (true, false) => self.unroutable -= 1,
            (true, true) | (false, false) => {}
        }
        tries.returned = returned;
        tries.failed += 1;
        (published != Published::Confirmed).then_some(tries.failed)
    }
}

impl Engine {
    /// An outcome was decided for one agent of a delivery: it is told, and if it was the job's last and
    /// one of them calls for it, the job is buried.
    pub(super) fn tell(&mut self, now: Now, claim: Claim, outcome: &Arc<Outcome>, bury: bool) {
        self.telling.next += 1;
        let (tell, ticket, tries) = (TellId(self.telling.next), claim.ticket, Tries::default());
        let kept = Tell {
            ticket,
            outcome: Arc::clone(outcome),
            since: now.wall,
            tries,
        };
        self.telling.tells.insert(tell, kept);
        self.effects.push(Effect::Tell {
            tell,
            outcome: Arc::clone(outcome),
        });
        if let Some(letter) = self.ledger.decided(claim, outcome, bury, now.wall) {
            self.telling.burials.insert(ticket, Tries::default());
            self.effects.push(Effect::Bury { ticket, letter });
        }
    }

    pub(super) fn told(&mut self, now: Now, tell: TellId, published: Published) {
        let Some(mut open) = self.telling.tells.remove(&tell) else {
            return;
        };
        if published == Published::Returned {
            self.effects.push(Effect::Count(Counted::Unroutable));
        }
        let discarded = published == Published::Returned && !self.telling.hold_unroutable;
        let published = if discarded {
            Published::Confirmed
        } else {
            published
        };
        if let Some(failed) = self.telling.note(&mut open.tries, published) {
            self.telling.tells.insert(tell, open);
            self.try_again(now, failed, Publish::Tell(tell));
            return;
        }
        if !discarded {
            let Tell { outcome, since, .. } = open;
            let told = Counted::Told { outcome, since };
            self.effects.push(Effect::Count(told));
        }
        self.ledger.told(open.ticket, &mut self.finished);
        self.finish(now);
    }

    pub(super) fn buried(&mut self, now: Now, ticket: Ticket, published: Published) {
        if published == Published::Returned {
            self.effects.push(Effect::Count(Counted::Unroutable));
        }
        let Some(mut tries) = self.telling.burials.remove(&ticket) else {
            return;
        };
        if let Some(failed) = self.telling.note(&mut tries, published) {
            self.telling.burials.insert(ticket, tries);
            self.try_again(now, failed, Publish::Bury(ticket));
            return;
        }
        let outcomes = self.ledger.failures(ticket);
        if let Some(first) = outcomes.first() {
            self.effects
                .push(Effect::Count(Counted::Buried(Arc::clone(first))));
        }
        for outcome in outcomes {
            self.memory.buried(outcome.id);
        }
        self.ledger.buried(ticket, &mut self.finished);
        self.finish(now);
    }

    fn finish(&mut self, now: Now) {
        for ticket in self.finished.drain(..) {
            self.acks.finish(now.elapsed, ticket);
        }
        self.acknowledge(false);
    }

    fn try_again(&mut self, now: Now, failed: u32, publish: Publish) {
        let wait = self.schedule.after(failed, 1.0).max(AGAIN_MIN);
        self.telling
            .again
            .insert((now.elapsed.saturating_add(wait), publish));
    }

    /// Publishes what is due for another try.
    pub(super) fn publish_again(&mut self, now: Now) {
        while let Some((at, publish)) = self.telling.again.first().copied()
            && at <= now.elapsed
        {
            self.telling.again.pop_first();
            match publish {
                Publish::Tell(tell) => {
                    if let Some(open) = self.telling.tells.get(&tell) {
                        let outcome = Arc::clone(&open.outcome);
                        self.effects.push(Effect::Tell { tell, outcome });
                    }
                }
                Publish::Bury(ticket) => {
                    if let Some(letter) = self.ledger.dead_letter(ticket, now.wall) {
                        self.effects.push(Effect::Bury { ticket, letter });
                    }
                }
            }
        }
    }
}

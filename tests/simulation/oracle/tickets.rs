//! Deliveries: what must have been confirmed before each may be settled, and in what order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::DeadLetter;
use clockout::engine::job::{Agent, OutcomeId, PbxQueue, Ticket};
use clockout::engine::outcome::Outcome;

use super::Obligations;
use super::obligation::{Letter, Obligation};

/// Deliveries of the session that stands.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    arrivals: u64,
    held: BTreeMap<Ticket, Held>,
    /// Given back, so that nothing later of the same agent may be acknowledged.
    given_back: Vec<Held>,
    /// Messages that are no valid job and whose dead letter is confirmed: delivered again, they need no other.
    buried_unreadable: BTreeSet<OutcomeId>,
}

#[derive(Debug)]
struct Held {
    arrival: u64,
    since: Duration,
    targets: Vec<OutcomeId>,
    /// Targets whose outcome was confirmed for this delivery.
    confirmed: BTreeSet<OutcomeId>,
    /// What the parser said, if this is no valid job.
    unreadable: Option<Arc<Outcome>>,
    letter: Option<DeadLetter>,
    letter_confirmed: bool,
}

impl Tickets {
    /// Numbers deliveries in the order in which they came.
    pub(super) fn arrive(
        &mut self,
        now: Duration,
        ticket: Ticket,
        targets: impl Iterator<Item = OutcomeId>,
    ) -> u64 {
        self.arrivals += 1;
        let held = Held {
            arrival: self.arrivals,
            since: now,
            targets: targets.collect(),
            confirmed: BTreeSet::new(),
            unreadable: None,
            letter: None,
            letter_confirmed: false,
        };
        self.held.insert(ticket, held);
        self.arrivals
    }

    pub(super) fn arrive_unreadable(
        &mut self,
        now: Duration,
        ticket: Ticket,
        outcome: &Arc<Outcome>,
    ) {
        self.arrive(now, ticket, std::iter::once(outcome.id));
        if let Some(held) = self.held.get_mut(&ticket) {
            held.unreadable = Some(Arc::clone(outcome));
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// When the first came of those that are held.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.held.values().map(|held| held.since).min()
    }

    /// Outcomes not yet confirmed, over all deliveries.
    pub(super) fn owed(&self) -> usize {
        let owed = |held: &Held| held.targets.len() - held.confirmed.len();
        self.held.values().map(owed).sum()
    }

    /// Whether a delivery that is held wants this outcome told.
    pub(super) fn asks_for(&self, id: OutcomeId) -> bool {
        self.held.values().any(|held| held.targets.contains(&id))
    }

    /// Whether this is what a message that is no valid job is to be told.
    pub(super) fn is_unreadable(&self, outcome: &Outcome) -> bool {
        let mut unreadable = self
            .held
            .values()
            .filter_map(|held| held.unreadable.as_ref());
        unreadable.any(|o| (o.id, o.conclusion.code) == (outcome.id, outcome.conclusion.code))
    }

    /// An outcome was confirmed: it counts for the oldest delivery that still wants it, since each is told its own.
    pub(super) fn told(&mut self, id: OutcomeId) {
        let wants = |held: &&mut Held| held.targets.contains(&id) && !held.confirmed.contains(&id);
        if let Some(held) = self
            .held
            .values_mut()
            .filter(wants)
            .min_by_key(|held| held.arrival)
        {
            held.confirmed.insert(id);
        }
    }

    /// A dead letter leaves: one per job, and none for a job that is merely told again.
    pub(super) fn bury(
        &mut self,
        ticket: Ticket,
        letter: &DeadLetter,
        obligations: &mut Obligations,
    ) {
        let Some(held) = self.held.get_mut(&ticket) else {
            panic!("buried {ticket:?}, which is not held")
        };
        assert!(held.letter.is_none(), "a second dead letter of {ticket:?}");
        assert_eq!(
            letter.agents.is_empty(),
            held.unreadable.is_some(),
            "agents of {letter:?}"
        );
        for obligation in held.named_in(letter, obligations) {
            assert_eq!(
                obligation.letter,
                Letter::None,
                "buried again: {letter:?} for {ticket:?}"
            );
            obligation.letter = Letter::Sent(ticket);
        }
        held.letter = Some(letter.clone());
    }

    pub(super) fn buried(&mut self, ticket: Ticket, good: bool, obligations: &mut Obligations) {
        let Some(held) = self.held.get_mut(&ticket) else {
            return;
        };
        let Some(letter) = held.letter.take() else {
            return;
        };
        for obligation in held.named_in(&letter, obligations) {
            obligation.letter = if good {
                Letter::Confirmed
            } else {
                Letter::None
            };
        }
        held.letter_confirmed = good;
        let unreadable = held.unreadable.as_ref().filter(|_| good);
        self.buried_unreadable
            .extend(unreadable.map(|outcome| outcome.id));
        // A letter that the broker did not take leaves the way free for the next.
        held.letter = good.then_some(letter);
    }

    /// Nothing is acknowledged before all of it is confirmed, nor before an older job of one of its agents.
    pub(super) fn acknowledge(&mut self, ticket: Ticket, obligations: &mut Obligations) {
        let held = self.take(ticket, obligations);
        for id in &held.targets {
            // Confirms of one outcome are alike: one noted for another delivery serves as well.
            let mut others = self.held.values_mut();
            let confirmed = held.confirmed.contains(id) || others.any(|o| o.confirmed.remove(id));
            assert!(
                confirmed,
                "{ticket:?} acknowledged before outcome {id} was confirmed"
            );
        }
        held.check_letter(ticket, obligations);
        if let Some(unreadable) = &held.unreadable {
            assert!(
                self.buried_unreadable.contains(&unreadable.id),
                "{ticket:?} acknowledged, but not buried"
            );
        }
        let own: BTreeSet<_> = held.places(obligations);
        for older in self
            .held
            .values()
            .filter(|o| o.arrival < held.arrival)
            .chain(&self.given_back)
        {
            let shared = older.places(obligations).intersection(&own).next().copied();
            assert!(
                shared.is_none(),
                "{ticket:?} acknowledged before an older job of {shared:?}"
            );
        }
    }

    pub(super) fn give_back(&mut self, ticket: Ticket, obligations: &mut Obligations) {
        let held = self.take(ticket, obligations);
        self.given_back.push(held);
    }

    /// A ticket is settled once, in its own epoch.
    fn take(&mut self, ticket: Ticket, obligations: &mut Obligations) -> Held {
        let Some(held) = self.held.remove(&ticket) else {
            panic!("{ticket:?} settled twice, or after its channel was lost")
        };
        for id in &held.targets {
            if let Some(obligation) = obligations.get_mut(id) {
                obligation.tickets.remove(&ticket);
            }
        }
        held
    }

    /// The session ended: its deliveries will come again.
    pub(super) fn void(&mut self) {
        self.held.clear();
        self.given_back.clear();
    }
}

impl Held {
    /// Where the job would be felt.
    fn places(&self, obligations: &Obligations) -> BTreeSet<(PbxQueue, Agent)> {
        let targets = self.targets.iter().filter_map(|id| obligations.get(id));
        targets.map(|o| (o.job.queue, o.agent)).collect()
    }

    /// The agents of this job that a letter names.
    fn named_in<'o>(
        &self,
        letter: &DeadLetter,
        obligations: &'o mut Obligations,
    ) -> impl Iterator<Item = &'o mut Obligation> {
        obligations
            .iter_mut()
            .filter(|(id, o)| self.targets.contains(id) && letter.agents.contains(&o.agent))
            .map(|(_, obligation)| obligation)
    }

    /// What failed is buried, by this delivery or by an earlier one of the same job; and nothing else is.
    fn check_letter(&self, ticket: Ticket, obligations: &Obligations) {
        assert!(
            self.letter.is_none() || self.letter_confirmed,
            "{ticket:?} acknowledged before its dead letter was confirmed"
        );
        let failed: Vec<_> = (self.targets.iter())
            .filter_map(|id| obligations.get(id))
            .filter_map(|o| o.told.as_ref().map(|told| (o, told)))
            .filter(|(_, told)| told.code.status().is_buried())
            .collect();
        for (o, told) in &failed {
            let buried = o.letter == Letter::Confirmed;
            assert!(
                buried,
                "{ticket:?} acknowledged, {} is {} but not buried",
                o.agent, told.code
            );
        }
        let Some(letter) = self.letter.as_ref().filter(|_| self.unreadable.is_none()) else {
            return;
        };
        let named: Vec<_> = failed
            .iter()
            .filter(|(o, _)| letter.agents.contains(&o.agent))
            .collect();
        let agents: Vec<Agent> = named.iter().map(|(o, _)| o.agent).collect();
        assert_eq!(
            letter.agents, agents,
            "a dead letter names those that failed, in the job's order"
        );
        let first = named.first().map(|(_, told)| told.code);
        assert_eq!(
            Some(letter.code),
            first,
            "a dead letter has the code of the first that failed"
        );
        let most = named.iter().map(|(_, told)| told.attempts).max();
        assert_eq!(
            Some(letter.attempts),
            most,
            "a dead letter has the highest number of attempts"
        );
    }
}

//! One agent on one PBX queue, the unit of order: whom a call of it may serve (CONTRACT §4.3–6).

use clockout::engine::job::{Action, Agent, OutcomeId, PbxQueue};

use super::obligation::Obligation;
use super::{Moment, Obligations};

#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'o> {
    pub(super) queue: PbxQueue,
    pub(super) agent: Agent,
    pub(super) moment: Moment<'o>,
}

/// A job that a call serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rider {
    pub(super) id: OutcomeId,
    /// `false`: it may have been left out, for a remove that replaces it.
    pub(super) certain: bool,
}

impl<'o> Place<'o> {
    pub(super) fn all(
        self,
        all: &'o Obligations,
    ) -> impl Iterator<Item = (&'o OutcomeId, &'o Obligation)> {
        let here = (self.queue, self.agent);
        all.iter()
            .filter(move |(_, o)| (o.job.queue, o.agent) == here)
    }

    /// Those that want a call of this action now.
    fn asking(
        self,
        action: Action,
        all: &'o Obligations,
    ) -> impl Iterator<Item = (&'o OutcomeId, &'o Obligation)> {
        self.all(all)
            .filter(move |(_, o)| o.job.action == action && o.asks(self.moment))
    }

    /// Whether this job shares no retry and no turn with another: none was called, or given up in place of a call, that had not
    /// ended before it came.
    pub(super) fn has_alone(self, waiting: &Obligation, all: &'o Obligations) -> bool {
        let was_over = |o: &Obligation| o.ended.is_some_and(|ended| ended < waiting.delivered);
        let mut others = self
            .all(all)
            .filter(|(_, o)| o.first_arrival != waiting.first_arrival);
        let had_a_turn = |o: &Obligation| !o.attempts.is_empty() || o.is_given_up();
        others.all(|(_, o)| !o.asks(self.moment) && (!had_a_turn(o) || was_over(o)))
    }

    /// Whom a call of `action` serves. A remove replaces the pauses before it. A pause waits for the removes before it, and
    /// yields to one after it unless it was on its way by then: called before, or replaced by an earlier remove that has
    /// failed since. In that case the later remove may also have replaced it.
    pub(super) fn riders(self, action: Action, all: &'o Obligations) -> Vec<Rider> {
        let removes: Vec<u64> = self
            .asking(Action::Remove, all)
            .map(|(_, o)| o.arrival)
            .collect();
        let failed: Vec<u64> = self
            .all(all)
            .filter(|(_, o)| o.is_failed_remove())
            .map(|(_, o)| o.arrival)
            .collect();
        let is_on_its_way = |pause: &Obligation, by: u64| {
            let released = failed
                .iter()
                .any(|&failed| pause.arrival < failed && failed < by);
            released || pause.first_called.is_some_and(|called| called < by)
        };
        let may_ride = |o: &Obligation| match action {
            Action::Remove => true,
            Action::Pause => removes
                .iter()
                .all(|&by| o.arrival < by && is_on_its_way(o, by)),
        };
        let certain = action == Action::Remove || removes.is_empty();
        let riders = self.asking(action, all).filter(|(_, o)| may_ride(o));
        riders.map(|(&id, _)| Rider { id, certain }).collect()
    }

    /// The pauses that a call of `action` replaces: those that a remove came after.
    pub(super) fn replaced(self, action: Action, all: &'o Obligations) -> Vec<OutcomeId> {
        let newest = self
            .asking(Action::Remove, all)
            .map(|(_, o)| o.arrival)
            .max();
        let pauses = self
            .asking(Action::Pause, all)
            .filter(|(_, o)| Some(o.arrival) < newest);
        match action {
            Action::Remove => pauses.map(|(&id, _)| id).collect(),
            Action::Pause => Vec::new(),
        }
    }
}

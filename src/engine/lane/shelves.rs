//! The front entries of a lane by where they stand: ready, waiting for a retry, or part of a refused batch.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::job::{Action, Agent};
use super::line::{Entry, Place};

#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) agent: Agent,
    since: Duration,
    urgent: bool,
}

/// A part of a batch that the PBX refused as a whole; it goes out alone.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) action: Action,
    pub(super) agents: Vec<Agent>,
}

/// The entries of one action that may leave, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    entries: BTreeMap<u64, Ready>,
    urgent: usize,
}

impl Shelf {
    fn insert(&mut self, seq: u64, ready: Ready) {
        self.urgent += usize::from(ready.urgent);
        self.entries.insert(seq, ready);
    }

    fn remove(&mut self, seq: u64) {
        if let Some(ready) = self.entries.remove(&seq) {
            self.urgent -= usize::from(ready.urgent);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.urgent > 0
    }

    /// The oldest entry's number and arrival.
    pub(super) fn oldest(&self) -> Option<(u64, Duration)> {
        self.entries
            .first_key_value()
            .map(|(seq, ready)| (*seq, ready.since))
    }

    /// Takes up to `n` entries off, oldest first.
    pub(super) fn take(&mut self, n: usize) -> Vec<Agent> {
        let mut taken = Vec::with_capacity(n.min(self.entries.len()));
        while taken.len() < n
            && let Some((_, ready)) = self.entries.pop_first()
        {
            self.urgent -= usize::from(ready.urgent);
            taken.push(ready.agent);
        }
        taken
    }
}

#[derive(Debug, Default)]
pub(super) struct Shelves {
    pause: Shelf,
    remove: Shelf,
    later: BTreeMap<(Duration, u64), Agent>,
    pub(super) splits: VecDeque<Group>,
}

impl Shelves {
    pub(super) fn shelf(&self, action: Action) -> &Shelf {
        match action {
            Action::Pause => &self.pause,
            Action::Remove => &self.remove,
        }
    }

    pub(super) fn shelf_mut(&mut self, action: Action) -> &mut Shelf {
        match action {
            Action::Pause => &mut self.pause,
            Action::Remove => &mut self.remove,
        }
    }

    pub(super) fn put_ready(&mut self, agent: Agent, entry: &mut Entry) {
        entry.place = Place::Ready;
        let ready = Ready {
            agent,
            since: entry.since,
            urgent: entry.urgent,
        };
        self.shelf_mut(entry.action).insert(entry.seq, ready);
    }

    pub(super) fn put_later(&mut self, agent: Agent, entry: &mut Entry, due: Duration) {
        entry.place = Place::Later { due };
        self.later.insert((due, entry.seq), agent);
    }

    /// Takes an entry off the shelf it stands on.
    pub(super) fn take_off(&mut self, agent: Agent, action: Action, (place, seq): (Place, u64)) {
        match place {
            Place::Ready => self.shelf_mut(action).remove(seq),
            Place::Later { due } => {
                self.later.remove(&(due, seq));
            }
            Place::Split => {
                self.splits
                    .iter_mut()
                    .for_each(|group| group.agents.retain(|a| *a != agent));
                self.splits.retain(|group| !group.agents.is_empty());
            }
            Place::Behind | Place::Called => {}
        }
    }

    /// The next agent whose retry is due by `now`, taken off.
    pub(super) fn pop_later(&mut self, now: Duration) -> Option<Agent> {
        let (due, _) = *self.later.first_key_value()?.0;
        if due > now {
            return None;
        }
        self.later.pop_first().map(|(_, agent)| agent)
    }

    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn retrying(&self) -> usize {
        self.later.len()
    }

    /// Entries that may leave.
    pub(super) fn ready(&self) -> usize {
        self.pause.len() + self.remove.len()
    }

    /// Entries that could be called if time were no object.
    pub(super) fn len(&self) -> usize {
        let split: usize = self.splits.iter().map(|group| group.agents.len()).sum();
        self.ready() + self.later.len() + split
    }
}

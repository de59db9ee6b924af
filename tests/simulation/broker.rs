//! The broker: one jobs queue with redelivery in place, a prefetch window, epochs, and acknowledgements that are under way.
//!
//! Publishes are answered by the world; here stands only what decides which jobs come again.

use std::collections::{BTreeMap, VecDeque};

use clockout::engine::Disposition;
use clockout::engine::job::{Epoch, Ticket};

use crate::producer::Message;

/// Where a message stands in the jobs queue; it comes back to its place.
type Place = usize;

#[derive(Debug)]
pub(crate) struct Broker {
    prefetch: usize,
    /// Every message ever published.
    pub(crate) published: Vec<Message>,
    /// Messages to deliver, each with the broker's redelivered flag.
    ready: BTreeMap<Place, bool>,
    /// Whether the worker wants deliveries; outlives sessions.
    pub(crate) consuming: bool,
    epoch: Epoch,
    session: Option<Session>,
}

#[derive(Debug, Default)]
struct Session {
    last_tag: u64,
    unacked: BTreeMap<u64, Place>,
    /// Said by the worker, not yet heard by the broker.
    settling: VecDeque<(u64, Disposition)>,
}

impl Broker {
    pub(crate) fn new(prefetch: usize) -> Self {
        Self {
            prefetch,
            published: Vec::new(),
            ready: BTreeMap::new(),
            consuming: true,
            epoch: Epoch(0),
            session: None,
        }
    }

    pub(crate) fn publish(&mut self, message: Message) {
        self.ready.insert(self.published.len(), false);
        self.published.push(message);
    }

    /// The epoch of the session that stands.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.session.as_ref().map(|_| self.epoch)
    }

    pub(crate) fn connect(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.session = Some(Session::default());
    }

    /// Ends the session; of the settlements under way the first `heard` still took effect.
    pub(crate) fn disconnect(&mut self, heard: usize) {
        self.hear(heard);
        let unacked = self
            .session
            .take()
            .map(|session| session.unacked)
            .unwrap_or_default();
        self.ready
            .extend(unacked.into_values().map(|place| (place, true)));
    }

    /// Whether the worker consumes, its window has room, and there is a message for it.
    pub(crate) fn can_deliver(&self) -> bool {
        let has_room = |session: &Session| session.unacked.len() < self.prefetch;
        self.consuming && !self.ready.is_empty() && self.session.as_ref().is_some_and(has_room)
    }

    pub(crate) fn deliver(&mut self) -> Option<(Ticket, Message, bool)> {
        if !self.can_deliver() {
            return None;
        }
        let session = self.session.as_mut()?;
        let (place, redelivered) = self.ready.pop_first()?;
        session.last_tag += 1;
        session.unacked.insert(session.last_tag, place);
        let ticket = Ticket {
            epoch: self.epoch,
            tag: session.last_tag,
        };
        Some((ticket, self.published.get(place)?.clone(), redelivered))
    }

    pub(crate) fn settle(&mut self, ticket: Ticket, disposition: Disposition) {
        if let Some(session) = self.session.as_mut().filter(|_| ticket.epoch == self.epoch) {
            session.settling.push_back((ticket.tag, disposition));
        }
    }

    /// How many settlements are under way.
    pub(crate) fn settling(&self) -> usize {
        self.session
            .as_ref()
            .map_or(0, |session| session.settling.len())
    }

    /// The first `count` settlements under way take effect.
    pub(crate) fn hear(&mut self, count: usize) {
        let Some(session) = &mut self.session else {
            return;
        };
        for (tag, disposition) in session.settling.drain(..count) {
            let place = session.unacked.remove(&tag);
            match disposition {
                Disposition::Ack => {}
                Disposition::GiveBack => self.ready.extend(place.map(|place| (place, true))),
            }
        }
    }

    /// Nothing to deliver and nothing unacknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.session.as_ref().is_none_or(|s| s.unacked.is_empty())
    }

    /// How many messages are ready to be delivered.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }
}

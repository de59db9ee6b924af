//! The broker: one jobs queue or some shards of it, with redelivery in place, a prefetch window that shards share evenly, epochs, and
//! acknowledgements that are under way.
//!
//! Publishes are answered by the world; here stands only what decides which jobs come again.

use std::collections::{BTreeMap, VecDeque};

use clockout::broker::receipt::{Frame, Held, Receipts};
use clockout::engine::Disposition;
use clockout::engine::job::{Epoch, Ticket};

use crate::producer::Message;

/// Where a message stands in the jobs queue; it comes back to its place.
type Place = usize;

#[derive(Debug)]
pub(crate) struct Broker {
    shards: usize,
    /// Of each shard.
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

#[derive(Debug)]
struct Session {
    last_tag: u64,
    unacked: BTreeMap<u64, Place>,
    /// The worker's side of it.
    receipts: Receipts,
    /// Said by the worker, not yet heard by the broker.
    settling: VecDeque<Frame>,
}

impl Session {
    fn new(epoch: Epoch) -> Self {
        Self {
            last_tag: 0,
            unacked: BTreeMap::new(),
            receipts: Receipts::new(epoch),
            settling: VecDeque::new(),
        }
    }
}

impl Broker {
    pub(crate) fn new(prefetch: usize, shards: usize) -> Self {
        Self {
            shards,
            prefetch: prefetch / shards,
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
        self.session = Some(Session::new(self.epoch));
    }

    /// Ends the session; of the settlements under way the first `heard` still took effect: the messages that were acknowledged.
    pub(crate) fn disconnect(&mut self, heard: usize) -> Vec<Message> {
        let done = self.hear(heard);
        let unacked = self
            .session
            .take()
            .map(|session| session.unacked)
            .unwrap_or_default();
        self.ready
            .extend(unacked.into_values().map(|place| (place, true)));
        done
    }

    /// Whether the worker consumes, and there is a message of a shard whose window has room.
    pub(crate) fn can_deliver(&self) -> bool {
        self.next().is_some()
    }

    fn next(&self) -> Option<Place> {
        let session = self.session.as_ref().filter(|_| self.consuming)?;
        let mut ready = self.ready.keys().copied();
        ready.find(|&place| self.held_of(session, self.shard(place)) < self.prefetch)
    }

    /// All jobs of a PBX queue have one shard; what is unreadable has the first.
    fn shard(&self, place: Place) -> usize {
        match self.published.get(place) {
            Some(Message::Job { head, .. }) => {
                let number = head.queue.as_str().bytes().map(usize::from);
                number.sum::<usize>() % self.shards
            }
            Some(Message::Unreadable { .. }) | None => 0,
        }
    }

    fn held_of(&self, session: &Session, shard: usize) -> usize {
        let places = session.unacked.values();
        places.filter(|place| self.shard(**place) == shard).count()
    }

    /// The window of a shard that has used it up. That a single queue has used up all of it is no news to the worker.
    pub(crate) fn used_up(&self) -> Option<usize> {
        let session = self.session.as_ref().filter(|_| self.consuming)?;
        let mut shards = 0..self.shards;
        let is_full = |shard| self.held_of(session, shard) >= self.prefetch;
        (self.shards > 1 && shards.any(is_full)).then_some(self.prefetch)
    }

    pub(crate) fn deliver(&mut self) -> Option<(Ticket, Message, bool)> {
        let place = self.next()?;
        let redelivered = self.ready.remove(&place)?;
        let session = self.session.as_mut()?;
        session.last_tag += 1;
        session.unacked.insert(session.last_tag, place);
        session.receipts.hold(session.last_tag, Held::default());
        let ticket = Ticket {
            epoch: self.epoch,
            tag: session.last_tag,
        };
        Some((ticket, self.published.get(place)?.clone(), redelivered))
    }

    /// The message that this ticket stands for.
    pub(crate) fn held(&self, ticket: Ticket) -> Option<&Message> {
        let session = self
            .session
            .as_ref()
            .filter(|_| ticket.epoch == self.epoch)?;
        self.published.get(*session.unacked.get(&ticket.tag)?)
    }

    /// The worker settles by the receipts of the session that stands; without one nobody hears it. What it gives back goes back
    /// when the session ends.
    pub(crate) fn settle(&mut self, ticket: Ticket, disposition: Disposition) {
        if let Some(session) = &mut self.session
            && disposition == Disposition::Ack
        {
            session.receipts.acknowledge(ticket);
        }
    }

    /// The worker writes what it has acknowledged.
    pub(crate) fn write(&mut self) {
        if let Some(session) = &mut self.session {
            session.settling.extend(session.receipts.take_frames());
        }
    }

    /// How many settlements are under way.
    pub(crate) fn settling(&self) -> usize {
        self.session
            .as_ref()
            .map_or(0, |session| session.settling.len())
    }

    /// The first `count` settlements under way take effect; the messages that were acknowledged.
    pub(crate) fn hear(&mut self, count: usize) -> Vec<Message> {
        let Some(session) = &mut self.session else {
            return Vec::new();
        };
        let mut done = Vec::new();
        for frame in session.settling.drain(..count) {
            match frame {
                Frame::AckUpTo(tag) => {
                    let later = session.unacked.split_off(&(tag + 1));
                    done.extend(std::mem::replace(&mut session.unacked, later).into_values());
                }
                Frame::Ack(tag) => done.extend(session.unacked.remove(&tag)),
            }
        }
        let messages = done
            .into_iter()
            .filter_map(|place| self.published.get(place));
        messages.cloned().collect()
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

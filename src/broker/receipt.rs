//! What was delivered and not yet acknowledged, and which acknowledgements to write for what was.
//!
//! Pure bookkeeping of one epoch: it writes nothing itself. What it never does: acknowledge a delivery twice, or one of
//! another epoch, or acknowledge over the head of a delivery that is still held. Public for the simulation, which has the engine
//! acknowledge through it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;

use crate::engine::job::{Epoch, Ticket};

/// What a dead letter needs of the delivery it stands for.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
    pub(super) routing_key: ShortString,
    /// Which of the jobs queues it came from.
    pub(super) queue: usize,
}

/// One acknowledgement to write on the jobs channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// This delivery and every unsettled one before it.
    AckUpTo(u64),
    /// This delivery alone.
    Ack(u64),
}

/// The deliveries of one epoch. Bounded by prefetch.
#[derive(Debug)]
pub struct Receipts {
    epoch: Epoch,
    /// Boxed, as half of the places in a map's nodes are empty.
    held: BTreeMap<u64, Box<Held>>,
    /// By queue.
    counts: BTreeMap<usize, Count>,
    /// The highest delivery tag so far.
    last: u64,
    /// Acknowledgements not yet taken by [`Receipts::take_frames`].
    acks: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// How many are held.
    now: usize,
    /// How many there were, acknowledged ones included.
    ever: u64,
}

impl Receipts {
    /// Nothing is held yet of this epoch.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            held: BTreeMap::new(),
            counts: BTreeMap::new(),
            last: 0,
            acks: BTreeSet::new(),
        }
    }

    /// Takes note of a delivery by its tag.
    pub fn hold(&mut self, tag: u64, held: Held) {
        let count = self.counts.entry(held.queue).or_default();
        count.now += 1;
        count.ever += 1;
        self.last = self.last.max(tag);
        self.held.insert(tag, Box::new(held));
    }

    /// How many deliveries of this queue there were, acknowledged ones included.
    pub(super) fn held_ever(&self, queue: usize) -> u64 {
        self.count(queue).ever
    }

    /// How many are held of each of so many queues.
    pub(super) fn held_by_queue(&self, queues: usize) -> Vec<usize> {
        (0..queues).map(|queue| self.count(queue).now).collect()
    }

    /// How many are held of each of so many queues, of those delivered after this tag. Looks at each of them.
    pub(super) fn held_after(&self, tag: u64, queues: usize) -> Vec<usize> {
        let mut counts = vec![0; queues];
        for (_, held) in self.held.range(tag.saturating_add(1)..) {
            if let Some(count) = counts.get_mut(held.queue) {
                *count += 1;
            }
        }
        counts
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    fn count(&self, queue: usize) -> Count {
        self.counts.get(&queue).copied().unwrap_or_default()
    }

    /// `None` if the ticket is void: acknowledged already, or of another epoch.
    pub(super) fn held(&self, ticket: Ticket) -> Option<&Held> {
        let held = self.held.get(&ticket.tag).map(AsRef::as_ref);
        held.filter(|_| ticket.epoch == self.epoch)
    }

    /// `false` if the ticket is void, and nothing was done.
    pub fn acknowledge(&mut self, ticket: Ticket) -> bool {
        if ticket.epoch != self.epoch {
            return false;
        }
        let Some(held) = self.held.remove(&ticket.tag) else {
            return false;
        };
        if let Some(count) = self.counts.get_mut(&held.queue) {
            count.now -= 1;
        }
        self.acks.insert(ticket.tag)
    }

    /// Nothing is acknowledged that [`Receipts::take_frames`] has not yet handed out.
    pub(super) fn is_flushed(&self) -> bool {
        self.acks.is_empty()
    }

    /// The fewest frames that tell RabbitMQ of all that was acknowledged, in the order of arrival: one for everything
    /// below the first delivery that is held, then one for each.
    pub fn take_frames(&mut self) -> Vec<Frame> {
        let acks = std::mem::take(&mut self.acks);
        let (below, above) = match self.held.keys().next() {
            Some(&kept) => (
                acks.range(..kept).next_back().copied(),
                acks.range(kept..).copied().collect(),
            ),
            None => (acks.last().copied(), Vec::new()),
        };
        below
            .map(Frame::AckUpTo)
            .into_iter()
            .chain(above.into_iter().map(Frame::Ack))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(7);

    fn ticket(tag: u64) -> Ticket {
        Ticket { epoch: EPOCH, tag }
    }

    fn receipts(tags: std::ops::RangeInclusive<u64>) -> Receipts {
        let mut receipts = Receipts::new(EPOCH);
        for tag in tags {
            receipts.hold(tag, Held::default());
        }
        receipts
    }

    fn frames(receipts: &mut Receipts, acks: &[u64]) -> Vec<Frame> {
        for &tag in acks {
            assert!(receipts.acknowledge(ticket(tag)));
        }
        receipts.take_frames()
    }

    #[test]
    fn settling_everything_takes_one_frame() {
        assert_eq!(
            frames(&mut receipts(1..=4), &[3, 1, 4, 2]),
            [Frame::AckUpTo(4)]
        );
    }

    #[test]
    fn a_held_delivery_is_never_acknowledged_with_its_successors() {
        let mut receipts = receipts(1..=6);
        assert_eq!(
            frames(&mut receipts, &[6, 1, 2, 4]),
            [Frame::AckUpTo(2), Frame::Ack(4), Frame::Ack(6)]
        );
        assert_eq!(frames(&mut receipts, &[3]), [Frame::AckUpTo(3)]);
        assert_eq!(frames(&mut receipts, &[5]), [Frame::AckUpTo(5)]);
    }

    #[test]
    fn a_ticket_is_acknowledged_once_and_only_in_its_own_epoch() {
        let mut receipts = receipts(1..=2);
        let stranger = Ticket {
            epoch: Epoch(6),
            tag: 1,
        };
        assert!(!receipts.acknowledge(stranger));
        assert!(receipts.held(stranger).is_none());
        assert!(receipts.acknowledge(ticket(1)));
        assert!(!receipts.acknowledge(ticket(1)));
        assert!(!receipts.acknowledge(ticket(9)));
        assert_eq!(receipts.take_frames(), [Frame::AckUpTo(1)]);
        assert!(receipts.is_flushed());
        assert_eq!(receipts.take_frames(), []);
    }

    #[test]
    fn whatever_the_order_every_acknowledgement_is_written_once_and_nothing_else() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..200 {
            let mut receipts = receipts(1..=40);
            let mut order: Vec<u64> = (1..=40).collect();
            random.shuffle(&mut order);
            let mut unsettled: BTreeSet<u64> = (1..=40).collect();
            for chunk in order.chunks(random.usize(1..9)) {
                for frame in frames(&mut receipts, chunk) {
                    let done: Vec<u64> = match frame {
                        Frame::AckUpTo(tag) => unsettled.range(..=tag).copied().collect(),
                        Frame::Ack(tag) => vec![tag],
                    };
                    assert!(!done.is_empty());
                    for tag in done {
                        assert!(chunk.contains(&tag), "{tag} was not acknowledged");
                        assert!(unsettled.remove(&tag), "{tag} was written before");
                    }
                }
            }
            assert!(unsettled.is_empty());
        }
    }
}

//! Puts what was read from several consumers back into the order in which RabbitMQ sent it on their channel.
//!
//! Each consumer is read by itself, so a delivery can be read before an earlier one of another consumer. Yet tickets must
//! come in rising order, and an acknowledgement covers all deliveries before it. Whatever is missing has been received
//! already and lies with another consumer, so nothing waits here for RabbitMQ.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Merge<T> {
    /// The delivery tag whose turn it is. RabbitMQ counts them from 1 on each channel.
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Merge<T> {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            early: BTreeMap::new(),
        }
    }

    /// Takes what was read, each with its delivery tag, and returns what has nothing missing before it.
    pub(super) fn add(&mut self, read: impl IntoIterator<Item = (u64, T)>) -> Vec<T> {
        self.early.extend(read);
        let mut due = Vec::with_capacity(self.early.len());
        while let Some(delivery) = self.early.remove(&self.next) {
            due.push(delivery);
            self.next += 1;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_come_out_in_their_order_each_once_and_none_too_early() {
        let mut merge = Merge::new();
        let mut add = |tags: &[u64]| merge.add(tags.iter().map(|&tag| (tag, tag)));
        assert_eq!(add(&[1, 2]), [1, 2]);
        assert!(add(&[5, 7]).is_empty());
        assert_eq!(add(&[3]), [3]);
        assert_eq!(add(&[6, 4]), [4, 5, 6, 7]);
        assert!(add(&[]).is_empty());
    }
}

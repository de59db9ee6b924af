//! Maps whose order is the same in every run, and one that never outgrows its bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use foldhash::fast::FixedState;

/// A hash map without a random seed, so that a run replays. Its keys are bounded in number by what the engine holds.
pub(super) type Map<K, V> = HashMap<K, V, FixedState>;

/// A map that forgets its oldest key when it is full.
#[derive(Debug)]
pub(super) struct Fifo<K, V> {
    map: Map<K, V>,
    /// Keys as they were first inserted; may still name removed ones.
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Copy + Eq + Hash, V> Fifo<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            map: Map::default(),
            order: VecDeque::new(),
            capacity,
        }
    }

    /// A key that is there already keeps its age.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_key_is_forgotten_first_and_the_bound_holds() {
        let mut fifo = Fifo::new(2);
        for key in 0..5 {
            fifo.insert(key, ());
        }
        assert_eq!(
            (0..5)
                .filter(|key| fifo.map.contains_key(key))
                .collect::<Vec<_>>(),
            [3, 4]
        );
    }

    #[test]
    fn inserting_and_removing_for_ever_leaves_nothing_behind() {
        let mut fifo = Fifo::new(4);
        for key in 0..1000 {
            fifo.insert(key, ());
            fifo.remove(&key);
        }
        assert!(fifo.order.len() <= 4);
        assert!(fifo.map.is_empty());
    }
}

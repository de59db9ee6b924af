//! Positions of records by the hash of what they are looked up by. The keys stand in the records only.

use hashbrown::HashTable;

use super::ring::Position;

#[derive(Debug, Default)]
pub(super) struct Index(HashTable<Entry>);

/// The hash is kept so that the table can grow without a look at the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    hash: u32,
    at: Position,
}

impl Index {
    /// The record with this hash that `is_it`.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(Position) -> bool) -> Option<Position> {
        let is_it = |entry: &Entry| entry.hash == hash && is_it(entry.at);
        self.0.find(spread(hash), is_it).map(|entry| entry.at)
    }

    /// Leads to `at` from now on, and no more to the record with this hash that `is_it`.
    pub(super) fn put(&mut self, hash: u32, at: Position, is_it: impl Fn(Position) -> bool) {
        let is_it = |entry: &Entry| entry.hash == hash && is_it(entry.at);
        if let Some(entry) = self.0.find_mut(spread(hash), is_it) {
            entry.at = at;
            return;
        }
        let entry = Entry { hash, at };
        self.0
            .insert_unique(spread(hash), entry, |entry| spread(entry.hash));
    }

    /// Leads to the record at `at` no more, if it did.
    pub(super) fn remove(&mut self, hash: u32, at: Position) {
        let gone = Entry { hash, at };
        if let Ok(entry) = self.0.find_entry(spread(hash), |entry| *entry == gone) {
            entry.remove();
        }
    }
}

/// The table takes a bucket from the lower bits, a tag from the upper.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

//! Records of bytes, oldest first, each with a position by which it is found again until it leaves.
//!
//! Nothing is allocated or freed per record: what leaves is overwritten by what comes.

use std::borrow::Cow;
use std::collections::VecDeque;

/// Where a record begins, in bytes pushed since the ring was made; wraps round, long after the record has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(u32);

/// Bytes before each record that say how long it is.
const LENGTH_BYTES: usize = size_of::<u32>();

#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    first: Position,
    records: usize,
}

impl Ring {
    /// Room for `bytes`, of which the system gives what is used; it grows only if more are pushed.
    pub(super) fn with_room_for(bytes: usize) -> Self {
        Self {
            bytes: VecDeque::with_capacity(bytes),
            first: Position(0),
            records: 0,
        }
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Bytes with another record.
    pub(super) fn bytes_with(&self, record: &[u8]) -> usize {
        self.bytes.len() + LENGTH_BYTES + record.len()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn first(&self) -> Option<Position> {
        (self.records > 0).then_some(self.first)
    }

    pub(super) fn push(&mut self, record: &[u8]) -> Position {
        let at = self.after(self.bytes.len());
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.bytes.extend(&length.to_le_bytes());
        self.bytes.extend(record);
        self.records += 1;
        at
    }

    /// Lets the oldest record go.
    pub(super) fn pop(&mut self) {
        if let Some(at) = self.first() {
            let length = LENGTH_BYTES + self.length(at);
            self.bytes.drain(..length);
            self.first = self.after(length);
            self.records -= 1;
        }
    }

    /// A record that has not left; copied only where the ring's end cuts it in two.
    pub(super) fn get(&self, at: Position) -> Cow<'_, [u8]> {
        self.slice(self.start(at) + LENGTH_BYTES, self.length(at))
    }

    /// Writes over a part of a record.
    pub(super) fn overwrite(&mut self, at: Position, offset: usize, part: &[u8]) {
        let start = self.start(at) + LENGTH_BYTES + offset;
        for (old, new) in self.bytes.range_mut(start..).zip(part) {
            *old = *new;
        }
    }

    /// Tells by a position whether one record is older than another.
    pub(super) fn start(&self, at: Position) -> usize {
        at.0.wrapping_sub(self.first.0) as usize
    }

    fn after(&self, bytes: usize) -> Position {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Position(self.first.0.wrapping_add(bytes))
    }

    fn length(&self, at: Position) -> usize {
        let bytes = self.slice(self.start(at), LENGTH_BYTES);
        let length = <[u8; LENGTH_BYTES]>::try_from(&*bytes).unwrap_or_default();
        u32::from_le_bytes(length) as usize
    }

    fn slice(&self, start: usize, length: usize) -> Cow<'_, [u8]> {
        let (front, back) = self.bytes.as_slices();
        let end = start + length;
        let whole = match start.checked_sub(front.len()) {
            None => front.get(start..end),
            Some(start) => back.get(start..start + length),
        };
        whole.map_or_else(
            || Cow::Owned(self.bytes.range(start..end).copied().collect()),
            Cow::Borrowed,
        )
    }
}

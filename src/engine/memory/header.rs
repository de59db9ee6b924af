//! What stands before each packed outcome, at fixed places, so that it can be read and changed without the rest.

use std::time::Duration;

use uuid::Uuid;

use super::super::job::{Epoch, OutcomeId};

/// Whether an outcome's dead letter has been published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Burial {
    /// Not asked for, or confirmed.
    Settled,
    /// Being published in this epoch; owed again once the epoch is over.
    UnderWay(Epoch),
    /// Ended while its ticket was void, so no dead letter was asked for yet.
    Owed,
}

impl Burial {
    pub(super) fn to_bytes(self) -> [u8; 4] {
        let number = match self {
            Self::Settled => 0,
            Self::Owed => 1,
            Self::UnderWay(Epoch(epoch)) => epoch.saturating_add(2),
        };
        number.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 4]) -> Self {
        match u32::from_le_bytes(bytes) {
            0 => Self::Settled,
            1 => Self::Owed,
            more => Self::UnderWay(Epoch(more - 2)),
        }
    }
}

/// A header and what stands behind it.
type Split<'a> = (Header, &'a [u8]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) burial: Burial,
    pub(super) id: OutcomeId,
    pub(super) ended: Duration,
}

impl Header {
    /// Where [`Burial::to_bytes`] stands.
    pub(super) const BURIAL: usize = 0;

    pub(super) fn write(&self, record: &mut Vec<u8>) {
        let nanos = u64::try_from(self.ended.as_nanos()).unwrap_or(u64::MAX);
        record.extend_from_slice(&self.burial.to_bytes());
        record.extend_from_slice(self.id.0.as_bytes());
        record.extend_from_slice(&nanos.to_le_bytes());
    }

    /// `None` only for what is no record.
    pub(super) fn read(record: &[u8]) -> Option<Split<'_>> {
        let (burial, rest) = record.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (nanos, packed) = rest.split_first_chunk()?;
        let header = Self {
            burial: Burial::from_bytes(*burial),
            id: OutcomeId(Uuid::from_bytes(*id)),
            ended: Duration::from_nanos(u64::from_le_bytes(*nanos)),
        };
        Some((header, packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was_and_so_does_what_follows() {
        for burial in [Burial::Settled, Burial::Owed, Burial::UnderWay(Epoch(0))] {
            let header = Header {
                burial,
                id: OutcomeId(Uuid::from_u128(7)),
                ended: Duration::from_nanos(1_500_000_001),
            };
            let mut record = Vec::new();
            header.write(&mut record);
            record.push(9);
            assert_eq!(Header::read(&record), Some((header, &[9][..])));
        }
    }
}

//! Pure: changes what has to be changed within a frame, and never its length; says what of its headers to keep where they are too
//! long.

use std::ops::Range;

use crate::wire::dead_letter;

/// Deepest that a table or array may lie within others; `x-death`, RabbitMQ's own, has three levels.
const LEVELS_MAX: usize = 32;

/// Stands for each byte that is no text: the character SUBSTITUTE, which no id or name may hold.
const SUBSTITUTE: u8 = 0x1a;

/// Class and method of what brings a producer's routing key.
const RETURN: [u8; 4] = [0, 60, 0, 50];
const DELIVER: [u8; 4] = [0, 60, 0, 60];
const GET_OK: [u8; 4] = [0, 60, 0, 71];

/// The same of RabbitMQ's greeting, which has a table, and of its bounds.
const CONNECTION_START: [u8; 4] = [0, 10, 0, 10];
const CONNECTION_TUNE: [u8; 4] = [0, 10, 0, 30];

/// The same of what brings RabbitMQ's own words, which end at 255 bytes, be it within a letter.
const CONNECTION_CLOSE: [u8; 4] = [0, 10, 0, 50];
const CHANNEL_CLOSE: [u8; 4] = [0, 20, 0, 40];

/// Of a content header's payload, before the flags: class, weight, size of the body.
const BEFORE_FLAGS: usize = 12;

/// The properties in the order of their flags, beginning with the highest (AMQP 0-9-1, class basic).
const PROPERTIES: [Property; 14] = [
    Property::Short,    // content-type
    Property::Short,    // content-encoding
    Property::Table,    // headers
    Property::Bytes(1), // delivery-mode
    Property::Bytes(1), // priority
    Property::Short,    // correlation-id
    Property::Short,    // reply-to
    Property::Short,    // expiration
    Property::Short,    // message-id
    Property::Bytes(8), // timestamp
    Property::Short,    // type
    Property::Short,    // user-id
    Property::Short,    // app-id
    Property::Short,    // cluster-id
];

#[derive(Clone, Copy)]
enum Property {
    Short,
    Table,
    Bytes(usize),
}

/// What a frame has that concerns its reader.
#[derive(Debug)]
pub(super) enum Found {
    /// Where the message's headers are, without their size.
    Headers(Range<usize>),
    /// The longest frame that RabbitMQ proposes, in bytes.
    FrameMax(u32),
}

/// Makes a whole frame, from its kind to its end, harmless: a table or array that lies too deep becomes bytes, and what is
/// no UTF-8 in a short string is substituted. Where the frame is not as it should be that ends, and lapin refuses it.
pub(super) fn defuse(frame: &mut [u8]) -> Option<Found> {
    let kind = frame.first().copied();
    let mut reader = Reader {
        frame,
        at: super::START,
        found: None,
    };
    let _sound = match kind {
        Some(super::METHOD) => reader.method(),
        Some(super::HEADER) => reader.header(),
        _ => None,
    };
    reader.found
}

/// Of the headers at this place of a defused frame those that [make a dead letter](makes_dead), as far as there is room for
/// them: a producer can write them as well, of any length.
pub(super) fn kept(frame: &mut [u8], headers: Range<usize>, room: usize) -> Vec<u8> {
    let mut reader = Reader {
        frame,
        at: headers.start,
        found: None,
    };
    let mut kept = Vec::new();
    while reader.at < headers.end
        && let Some(header) = reader.entry()
    {
        if makes_dead(header) && kept.len() + header.len() <= room {
            kept.extend_from_slice(header);
        }
    }
    kept
}

/// Without these nobody knows why a letter lies in the dead queue, or that it has to be renewed before RabbitMQ drops it.
fn makes_dead(header: &[u8]) -> bool {
    let name = header
        .split_first()
        .and_then(|(size, rest)| rest.get(..usize::from(*size)))
        .and_then(|name| str::from_utf8(name).ok())
        .unwrap_or_default();
    let others = [dead_letter::REPLAY, "x-death", "x-delivery-count"];
    dead_letter::HEADERS.contains(&name) || others.contains(&name)
}

/// Every method is `None` if the frame breaks off.
struct Reader<'f> {
    frame: &'f mut [u8],
    at: usize,
    found: Option<Found>,
}

impl Reader<'_> {
    fn method(&mut self) -> Option<()> {
        match self.array()? {
            DELIVER => {
                self.short()?;
                self.bytes(8 + 1)?;
            }
            RETURN => {
                self.bytes(2)?;
                self.short()?;
            }
            GET_OK => self.bytes(8 + 1)?,
            CONNECTION_START => {
                self.bytes(2)?;
                return self.table();
            }
            CONNECTION_TUNE => {
                self.bytes(2)?;
                let most = u32::from_be_bytes(self.array()?);
                // 0 means no bound.
                self.found = (most > 0).then_some(Found::FrameMax(most));
                return Some(());
            }
            CONNECTION_CLOSE | CHANNEL_CLOSE => {
                self.bytes(2)?;
                return self.short();
            }
            _ => return Some(()),
        }
        self.short()?;
        self.short()
    }

    fn header(&mut self) -> Option<()> {
        self.bytes(BEFORE_FLAGS)?;
        let flags = u16::from_be_bytes(self.array()?);
        for (place, property) in PROPERTIES.into_iter().enumerate() {
            if flags & (0x8000 >> place) == 0 {
                continue;
            }
            match property {
                Property::Short => self.short()?,
                Property::Table => {
                    let start = self.at + super::SIZE;
                    self.table()?;
                    self.found = Some(Found::Headers(start..self.at));
                }
                Property::Bytes(count) => self.bytes(count)?,
            }
        }
        Some(())
    }

    fn table(&mut self) -> Option<()> {
        let mut nest = vec![(self.end()?, true)];
        while let Some((end, keyed)) = nest.last().copied() {
            if self.at >= end {
                nest.pop();
                continue;
            }
            if keyed {
                self.short()?;
            }
            let [kind] = self.array()?;
            let nests = matches!(kind, b'A' | b'F');
            if nests && nest.len() < LEVELS_MAX {
                nest.push((self.end()?, kind == b'F'));
                continue;
            }
            if nests {
                *self.frame.get_mut(self.at - 1)? = b'x';
            }
            self.value(kind)?;
        }
        Some(())
    }

    /// Passes a value, without a look at what is in it.
    fn value(&mut self, kind: u8) -> Option<()> {
        match kind {
            b't' | b'b' | b'B' => self.bytes(1),
            b's' | b'U' | b'u' => self.bytes(2),
            b'I' | b'i' | b'f' => self.bytes(4),
            b'D' => self.bytes(1 + 4),
            b'L' | b'l' | b'd' | b'T' => self.bytes(8),
            b'V' => Some(()),
            b'S' | b'x' | b'A' | b'F' => {
                self.at = self.end()?;
                Some(())
            }
            _ => None,
        }
    }

    /// Passes a key and its value, and returns them as they are written.
    fn entry(&mut self) -> Option<&[u8]> {
        let start = self.at;
        self.short()?;
        let [kind] = self.array()?;
        self.value(kind)?;
        self.frame.get(start..self.at)
    }

    /// Where that ends which comes after its size.
    fn end(&mut self) -> Option<usize> {
        let size = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        let end = self.at.checked_add(size)?;
        // The last byte is the frame's own end.
        (end < self.frame.len()).then_some(end)
    }

    fn short(&mut self) -> Option<()> {
        let [size] = self.array()?;
        let end = self.at + usize::from(size);
        let mut text = self.frame.get_mut(self.at..end)?;
        while let Err(error) = str::from_utf8(text) {
            let rest = text.get_mut(error.valid_up_to()..)?;
            let (wrong, after) = rest.split_at_mut(error.error_len().unwrap_or(rest.len()));
            wrong.fill(SUBSTITUTE);
            text = after;
        }
        self.at = end;
        Some(())
    }

    fn bytes(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.frame.len()).then_some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.frame.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(array)
    }
}

//! What passes between a worker and RabbitMQ, as whoever carries it can read it: the outcomes that RabbitMQ has confirmed, the
//! jobs that the worker acknowledges. Pure.
//!
//! Frames and methods as in AMQP 0-9-1 (§2.3.5 and class basic), `confirm` and `basic.nack` as RabbitMQ adds them.

use std::collections::BTreeMap;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Of a frame: kind, channel and the payload's size before it, and a byte that ends it.
const START: usize = 7;
const END: u8 = 0xCE;

/// With which a client begins, and no frame: the protocol's name, AMQP, and version.
const GREETING: usize = 8;

/// Class and method.
const CHANNEL_OPEN: [u16; 2] = [20, 10];
const PUBLISH: [u16; 2] = [60, 40];
const RETURN: [u16; 2] = [60, 50];
const DELIVER: [u16; 2] = [60, 60];
const ACK: [u16; 2] = [60, 80];
const REJECT: [u16; 2] = [60, 90];
const NACK: [u16; 2] = [60, 120];
const CONFIRM_SELECT: [u16; 2] = [85, 10];

/// In the order in which it passed. The body is a message's.
#[derive(Debug, PartialEq, Eq)]
pub enum Overheard {
    /// RabbitMQ has put what was published into a queue.
    Confirmed(Body),
    /// The worker lets go of what was delivered.
    Acknowledged(Body),
}

/// Of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the worker.
    Out,
    /// To it.
    Back,
}

/// On one connection, from its beginning.
#[derive(Debug, Default)]
pub struct Tap {
    out: Stream,
    back: Stream,
    channels: BTreeMap<u16, Channel>,
}

/// One direction, in pieces.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
}

struct Frame {
    kind: u8,
    channel: u16,
    payload: Vec<u8>,
}

/// Bodies by the numbers under which they are answered.
#[derive(Debug, Default)]
struct Channel {
    confirms: bool,
    publishes: u64,
    unconfirmed: BTreeMap<u64, Body>,
    unacknowledged: BTreeMap<u64, Body>,
    published: Option<Content>,
    brought: Option<Content>,
}

type Body = Vec<u8>;

/// A message that comes frame by frame.
#[derive(Debug)]
struct Content {
    whose: Whose,
    body: Body,
    size: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Whose {
    Published,
    Returned,
    Delivered(u64),
}

impl Tap {
    /// What is complete with these bytes.
    pub fn read(&mut self, way: Way, bytes: &[u8]) -> Vec<Overheard> {
        match way {
            Way::Out => self.read_worker(bytes),
            Way::Back => self.read_broker(bytes),
        }
    }

    fn read_worker(&mut self, bytes: &[u8]) -> Vec<Overheard> {
        let mut overheard = Vec::new();
        self.out.bytes.extend(bytes);
        while let Some(frame) = self.out.next() {
            let channel = self.channels.entry(frame.channel).or_default();
            match frame.method() {
                Some(CHANNEL_OPEN) => *channel = Channel::default(),
                Some(CONFIRM_SELECT) => channel.confirms = true,
                Some(PUBLISH) => channel.published = Some(Content::of(Whose::Published)),
                Some(ACK) => {
                    let acknowledged = frame.settled(&mut channel.unacknowledged);
                    overheard.extend(acknowledged.into_iter().map(Overheard::Acknowledged));
                }
                Some(REJECT | NACK) => drop(frame.settled(&mut channel.unacknowledged)),
                Some(_) => {}
                None => {
                    if let Some((_, body)) = frame.add_to(&mut channel.published) {
                        channel.publishes += u64::from(channel.confirms);
                        channel.unconfirmed.insert(channel.publishes, body);
                    }
                }
            }
        }
        overheard
    }

    fn read_broker(&mut self, bytes: &[u8]) -> Vec<Overheard> {
        let mut overheard = Vec::new();
        self.back.bytes.extend(bytes);
        while let Some(frame) = self.back.next() {
            let channel = self.channels.entry(frame.channel).or_default();
            match frame.method() {
                Some(DELIVER) => {
                    let whose = Whose::Delivered(frame.delivery_tag());
                    channel.brought = Some(Content::of(whose));
                }
                Some(RETURN) => channel.brought = Some(Content::of(Whose::Returned)),
                Some(ACK) => {
                    let confirmed = frame.settled(&mut channel.unconfirmed);
                    overheard.extend(confirmed.into_iter().map(Overheard::Confirmed));
                }
                Some(NACK) => drop(frame.settled(&mut channel.unconfirmed)),
                Some(_) => {}
                None => match frame.add_to(&mut channel.brought) {
                    Some((Whose::Delivered(tag), body)) => {
                        channel.unacknowledged.insert(tag, body);
                    }
                    Some((_, body)) => channel.forget(&body),
                    None => {}
                },
            }
        }
        overheard
    }
}

impl Channel {
    /// What is returned is confirmed, too, and in no queue.
    fn forget(&mut self, body: &[u8]) {
        let mut unconfirmed = self.unconfirmed.iter();
        let returned = unconfirmed.find(|(_, published)| *published == body);
        if let Some(number) = returned.map(|(number, _)| *number) {
            self.unconfirmed.remove(&number);
        }
    }
}

impl Stream {
    fn next(&mut self) -> Option<Frame> {
        if self.bytes.starts_with(b"A") {
            self.bytes.first_chunk::<GREETING>()?;
            self.bytes.drain(..GREETING);
        }
        let [kind, c1, c2, sizes @ ..] = *self.bytes.first_chunk::<START>()?;
        let end = START + usize::try_from(u32::from_be_bytes(sizes)).unwrap();
        let last = *self.bytes.get(end)?;
        assert_eq!(last, END, "no frame ends here");
        let frame = Frame {
            kind,
            channel: u16::from_be_bytes([c1, c2]),
            payload: self.bytes[START..end].to_vec(),
        };
        self.bytes.drain(..=end);
        Some(frame)
    }
}

impl Frame {
    fn method(&self) -> Option<[u16; 2]> {
        (self.kind == METHOD).then(|| [self.number(0), self.number(2)].map(u16::from_be_bytes))
    }

    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.payload[at..].first_chunk().expect("a whole frame")
    }

    /// Behind the consumer's tag.
    fn delivery_tag(&self) -> u64 {
        u64::from_be_bytes(self.number(4 + 1 + usize::from(self.payload[4])))
    }

    /// Takes what an answer is about: one number, or all up to it; 0 is the latest.
    fn settled(&self, owed: &mut BTreeMap<u64, Body>) -> Vec<Body> {
        let number = u64::from_be_bytes(self.number(4));
        let is_multiple = self.method() != Some(REJECT) && self.payload[4 + 8] & 1 == 1;
        let last = if number == 0 { u64::MAX } else { number };
        let first = if is_multiple { 0 } else { last };
        let numbers: Vec<u64> = owed
            .range(first..=last)
            .map(|(number, _)| *number)
            .collect();
        let settled = numbers.iter().map(|number| owed.remove(number));
        settled.flatten().collect()
    }

    /// Adds this to the message that it is part of; the message once it is whole.
    fn add_to(&self, coming: &mut Option<Content>) -> Option<(Whose, Body)> {
        let content = coming.as_mut()?;
        match self.kind {
            // Behind class and weight.
            HEADER => content.size = usize::try_from(u64::from_be_bytes(self.number(4))).ok(),
            BODY => content.body.extend(&self.payload),
            _ => return None,
        }
        if content.size? > content.body.len() {
            return None;
        }
        coming.take().map(|content| (content.whose, content.body))
    }
}

impl Content {
    fn of(whose: Whose) -> Content {
        Content {
            whose,
            body: Vec::new(),
            size: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1], &size[..], payload, &[END]].concat()
    }

    fn method([class, method]: [u16; 2], arguments: &[u8]) -> Vec<u8> {
        let [class, method] = [class, method].map(u16::to_be_bytes);
        frame(METHOD, &[&class[..], &method, arguments].concat())
    }

    fn answer(to: [u16; 2], number: u64, is_multiple: bool) -> Vec<u8> {
        let number = number.to_be_bytes();
        method(to, &[&number[..], &[u8::from(is_multiple)]].concat())
    }

    /// In two frames, if it has a body.
    fn content(body: &[u8]) -> Vec<u8> {
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let header = frame(HEADER, &[&[0, 60, 0, 0], &size[..], &[0, 0]].concat());
        let (one, other) = body.split_at(body.len() / 2);
        let mut frames = vec![header];
        frames.extend([one, other].map(|part| frame(BODY, part)));
        frames.concat()
    }

    fn delivery(tag: u8, body: &[u8]) -> Vec<u8> {
        let arguments = [3, b'c', b't', b'1', 0, 0, 0, 0, 0, 0, 0, tag, 0, 0, 0];
        [method(DELIVER, &arguments), content(body)].concat()
    }

    fn publish(body: &[u8]) -> Vec<u8> {
        [method(PUBLISH, &[0, 0, 0, 0, 0]), content(body)].concat()
    }

    /// Is told each byte by itself.
    fn read(tap: &mut Tap, way: Way, frames: &[Vec<u8>]) -> Vec<Overheard> {
        let bytes = frames.concat();
        let each = bytes.chunks(1);
        each.flat_map(|byte| tap.read(way, byte)).collect()
    }

    #[test]
    fn a_job_is_heard_of_once_it_is_acknowledged_and_not_when_it_is_given_back() {
        let mut tap = Tap::default();
        let jobs = ["one", "two", "three", "four"].map(str::as_bytes);
        let deliveries = (1..).zip(jobs).map(|(tag, job)| delivery(tag, job));
        let deliveries: Vec<_> = deliveries.collect();
        assert_eq!(read(&mut tap, Way::Back, &deliveries), []);
        let given_back = [
            b"AMQP\0\0\x09\x01".to_vec(),
            answer(REJECT, 1, false),
            answer(NACK, 2, false),
        ];
        assert_eq!(read(&mut tap, Way::Out, &given_back), []);
        let one = read(&mut tap, Way::Out, &[answer(ACK, 4, false)]);
        assert_eq!(one, [Overheard::Acknowledged(b"four".to_vec())]);
        let rest = read(&mut tap, Way::Out, &[answer(ACK, 0, true)]);
        assert_eq!(rest, [Overheard::Acknowledged(b"three".to_vec())]);
    }

    #[test]
    fn an_outcome_is_heard_of_once_it_is_confirmed_and_not_when_it_is_returned_or_refused() {
        let mut tap = Tap::default();
        let mut said = vec![method(CHANNEL_OPEN, &[0]), method(CONFIRM_SELECT, &[0])];
        said.extend(["a", "b", "c", "d"].map(|body| publish(body.as_bytes())));
        assert_eq!(read(&mut tap, Way::Out, &said), []);
        let answers = [
            method(RETURN, &[0, 0, 0, 0, 0]),
            content(b"b"),
            answer(NACK, 3, false),
            answer(ACK, 4, true),
        ];
        let confirmed = ["a", "d"].map(|body| Overheard::Confirmed(body.into()));
        assert_eq!(read(&mut tap, Way::Back, &answers), confirmed);
    }

    #[test]
    fn a_channel_that_is_opened_anew_counts_anew() {
        let mut tap = Tap::default();
        for body in ["a", "b"] {
            let said = [
                method(CHANNEL_OPEN, &[0]),
                method(CONFIRM_SELECT, &[0]),
                publish(body.as_bytes()),
            ];
            assert_eq!(read(&mut tap, Way::Out, &said), []);
            let confirmed = read(&mut tap, Way::Back, &[answer(ACK, 1, false)]);
            assert_eq!(confirmed, [Overheard::Confirmed(body.into())]);
        }
    }
}

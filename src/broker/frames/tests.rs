//! Frames are built byte by byte, and what comes of them is read as lapin reads it.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use futures_util::io::AsyncReadExt as _;
use lapin::protocol::AMQPClass;
use lapin::protocol::basic::AMQPMethod;
use lapin::types::AMQPValue;

use super::*;

/// Says all of it, at most so much at once, and has nothing to say every other time.
struct Peer<'b> {
    says: &'b [u8],
    at_once: usize,
    rests: bool,
}

impl AsyncRead for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.rests = !self.rests;
        if self.rests {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.says.len().min(self.at_once).min(room.len());
        let (now, later) = self.says.split_at(count);
        room[..count].copy_from_slice(now);
        self.says = later;
        Poll::Ready(Ok(count))
    }
}

fn frames(says: &[u8], at_once: usize, frame_max: u32) -> Frames<Peer<'_>> {
    let peer = Peer {
        says,
        at_once,
        rests: false,
    };
    Frames::new(peer, frame_max)
}

async fn read(bytes: &[u8], at_once: usize) -> io::Result<Vec<u8>> {
    read_agreed(bytes, at_once, FRAME_MAX).await
}

async fn read_agreed(bytes: &[u8], at_once: usize, frame_max: u32) -> io::Result<Vec<u8>> {
    let mut defused = Vec::new();
    let mut frames = frames(bytes, at_once, frame_max);
    frames.read_to_end(&mut defused).await.map(|_| defused)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1], &size[..], payload, &[0xce]].concat()
}

fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
    let start = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    frame(2, &[&start, &flags.to_be_bytes()[..], properties].concat())
}

/// As lapin reads it.
fn properties(frame: &[u8]) -> lapin::BasicProperties {
    match parse_frame(frame) {
        Ok((&[], AMQPFrame::Header(_, header))) => header.properties,
        other => panic!("{other:?}"),
    }
}

/// Arrays within a table, and a number in the innermost.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = b"I\0\0\0\x07".to_vec();
    for _ in 0..levels {
        let size = u32::try_from(value.len()).unwrap().to_be_bytes();
        value = [b"A", &size[..], &value].concat();
    }
    let size = u32::try_from(value.len() + 2).unwrap().to_be_bytes();
    [&size[..], b"\x01h", &value].concat()
}

fn levels(value: &AMQPValue) -> usize {
    let inner = |array: &lapin::types::FieldArray| array.as_slice().first().map_or(0, levels);
    value.as_array().map_or(0, |array| 1 + inner(array))
}

#[tokio::test]
async fn what_is_sound_comes_through_as_it_is_however_it_comes() {
    let table = b"\0\0\0\x15\x01at\x01\x02\xc3\xa4S\0\0\0\x02\xff\xfe\x01bF\0\0\0\0";
    let deliver = b"\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\x05\0\x01e\x02\xc3\xa4";
    let frames = [
        frame(1, deliver),
        header(0xa000, &[b"\x03t/x", &table[..]].concat()),
        frame(3, b"\xff\xfe{}"),
        frame(8, b""),
    ];
    let stream = frames.concat();
    for at_once in [1, 7, 8, 50, 10_000] {
        assert_eq!(read(&stream, at_once).await.unwrap(), stream, "{at_once}");
    }
}

#[tokio::test]
async fn what_lies_too_deep_becomes_bytes() {
    for (deep, left) in [(1, 1), (31, 31), (32, 31), (10_000, 31)] {
        let frame = read(&header(0x2000, &nested(deep)), 1000).await.unwrap();
        let headers = properties(&frame).headers().clone().unwrap();
        assert_eq!(levels(&headers.inner()["h"]), left, "{deep}");
    }
}

#[tokio::test]
async fn what_is_no_text_in_a_property_is_substituted() {
    let all = 0xfffc;
    let short = b"\x03a\xffb";
    let table = b"\0\0\0\x05\x03\xffk\xc3V";
    let before = [&short[..], short, table, &[2, 9]];
    let amid = [&short[..]; 4];
    let after = [&[0, 0, 0, 0, 0, 0, 0, 5], &short[..], short, short, short];
    let frame = header(
        all,
        &[before.concat(), amid.concat(), after.concat()].concat(),
    );
    let properties = properties(&read(&frame, 1000).await.unwrap());
    let text = Some("a\u{1a}b".into());
    assert_eq!(*properties.content_type(), text);
    assert_eq!(*properties.content_encoding(), text);
    assert_eq!(*properties.correlation_id(), text);
    assert_eq!(*properties.reply_to(), text);
    assert_eq!(*properties.expiration(), text);
    assert_eq!(*properties.message_id(), text);
    assert_eq!(*properties.kind(), text);
    assert_eq!(*properties.user_id(), text);
    assert_eq!(*properties.app_id(), text);
    assert_eq!(*properties.cluster_id(), text);
    assert_eq!(*properties.timestamp(), Some(5));
    let headers = properties.headers().clone().unwrap();
    assert_eq!(headers.inner()["\u{1a}k\u{1a}"], AMQPValue::Void);
}

#[tokio::test]
async fn what_is_no_text_in_a_routing_key_is_substituted() {
    let deliver = b"\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\x05\0\x01e\x03M\xfcl";
    let get_ok = b"\0\x3c\0\x47\0\0\0\0\0\0\0\x05\0\x01e\x03M\xfcl\0\0\0\0";
    let returned = b"\0\x3c\0\x32\x01\x38\x01n\x01e\x03M\xfcl";
    for payload in [&deliver[..], get_ok, returned] {
        let frame = read(&frame(1, payload), 1000).await.unwrap();
        let key = match parse_frame(&frame[..]) {
            Ok((_, AMQPFrame::Method(_, AMQPClass::Basic(AMQPMethod::Deliver(it))))) => {
                it.routing_key
            }
            Ok((_, AMQPFrame::Method(_, AMQPClass::Basic(AMQPMethod::GetOk(it))))) => {
                it.routing_key
            }
            Ok((_, AMQPFrame::Method(_, AMQPClass::Basic(AMQPMethod::Return(it))))) => {
                it.routing_key
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(key.as_str(), "M\u{1a}l");
    }
}

#[tokio::test]
async fn words_of_rabbitmq_that_end_within_a_letter_are_substituted() {
    for class_and_method in [b"\0\x0a\0\x32", b"\0\x14\0\x28"] {
        let payload = [class_and_method, &b"\x01\x40\x03ab\xc3\0\x3c\0\x28"[..]].concat();
        let frame = read(&frame(1, &payload), 1000).await.unwrap();
        let said = format!("{:?}", parse_frame(&frame[..]).unwrap());
        assert!(said.contains("ab\\u{1a}"), "{said}");
    }
}

#[tokio::test]
async fn a_body_is_handed_on_as_it_comes() {
    let endless = [&[3, 0, 1, 0xff, 0, 0, 0], &[b'{'; 64][..]].concat();
    assert_eq!(read(&endless, 10).await.unwrap(), endless);
    let mut room = [0; 100];
    let count = frames(&endless, 10, FRAME_MAX)
        .read(&mut room)
        .await
        .unwrap();
    assert_eq!(count, 10);
}

fn tune(frame_max: u32) -> Vec<u8> {
    let most = frame_max.to_be_bytes();
    frame(
        1,
        &[&b"\0\x0a\0\x1e\x07\xff"[..], &most, b"\0\x3c"].concat(),
    )
}

/// A header with this text.
fn entry(name: &str, bytes: usize) -> Vec<u8> {
    let name = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    let size = u32::try_from(bytes).unwrap().to_be_bytes();
    [&name, &b"S"[..], &size, &vec![b'x'; bytes]].concat()
}

/// A message of that id with these headers.
fn message(entries: &[Vec<u8>]) -> Vec<u8> {
    let table = entries.concat();
    let size = u32::try_from(table.len()).unwrap().to_be_bytes();
    header(0x2080, &[&size[..], &table, b"\x02id"].concat())
}

/// What of these headers is left once the message is read; the id always is, and so is the body.
async fn left(agreed: u32, proposed: u32, entries: &[Vec<u8>]) -> Vec<String> {
    let (tune, body) = (tune(proposed), frame(3, b"{}"));
    let says = [&tune[..], &message(entries), &body].concat();
    let said = read_agreed(&says, 1000, agreed).await.unwrap();
    let header = said.strip_prefix(&tune[..]).unwrap();
    let header = header.strip_suffix(&body[..]).unwrap();
    let most = [agreed, proposed].into_iter().filter(|most| *most > 0);
    assert!(header.len() <= most.min().unwrap() as usize / 2);
    let properties = properties(header);
    assert_eq!(*properties.message_id(), Some("id".into()));
    let headers = properties.headers().clone().unwrap();
    headers.inner().keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn headers_that_leave_no_room_in_a_frame_are_dropped() {
    for (agreed, proposed, bytes, kept) in [
        (131_072, 131_072, 65_000, true),
        (131_072, 131_072, 65_536, false),
        (131_072, 0, 65_000, true),
        (131_072, 0, 65_536, false),
        (131_072, 10_000_000, 65_536, false),
        (131_072, 10_000_000, 1_000_000, false),
        (131_072, 8_192, 4_000, true),
        (131_072, 8_192, 4_096, false),
        (65_536, 131_072, 32_000, true),
        (65_536, 131_072, 32_768, false),
        (65_536, 0, 32_768, false),
    ] {
        let left = left(agreed, proposed, &[entry("h", bytes)]).await;
        assert_eq!(!left.is_empty(), kept, "{bytes} of {agreed}, {proposed}");
    }
}

#[tokio::test]
async fn of_headers_that_leave_no_room_those_that_make_a_dead_letter_are_kept() {
    let entries = [
        entry("clockout-agents", 16_000),
        entry("crm", 50_000),
        entry("clockout-code", 9),
        entry("clockout-of-a-producer", 9),
        b"\x07x-deathA\0\0\0\x0dF\0\0\0\x08\x06reasonV".to_vec(),
        b"\x0fclockout-replayl\0\0\0\0\0\0\0\x02".to_vec(),
        b"\x10x-delivery-countl\0\0\0\0\0\0\0\x0b".to_vec(),
    ];
    let kept = [
        "clockout-agents",
        "clockout-code",
        "clockout-replay",
        "x-death",
        "x-delivery-count",
    ];
    assert_eq!(left(131_072, 131_072, &entries).await, kept);
    let most_kept = [
        "clockout-code",
        "clockout-replay",
        "x-death",
        "x-delivery-count",
    ];
    assert_eq!(left(131_072, 4_096, &entries).await, most_kept);
}

#[tokio::test]
async fn what_a_producer_writes_in_their_place_is_bounded_as_well() {
    for long in ["clockout-replay", "x-death", "clockout-code"] {
        let entries = [entry(long, 70_000), entry("x-delivery-count", 1)];
        assert_eq!(left(131_072, 131_072, &entries).await, ["x-delivery-count"]);
        let many = vec![entry(long, 100); 1_000];
        assert_eq!(left(131_072, 131_072, &many).await, [long]);
    }
}

/// They take 2.6 KB, and RabbitMQ agrees on 4 KiB at least.
#[tokio::test]
async fn where_frames_are_as_short_as_may_be_properties_without_headers_come_through() {
    let short = [&[255][..], &[b'p'; 255]].concat();
    let before = [&short[..], &short, b"\0\0\0\0", &[2, 9]].concat();
    let amid = short.repeat(4);
    let after = [&[0; 8][..], &short.repeat(4)].concat();
    let full = header(0xfffc, &[before, amid, after].concat());
    let says = [tune(4_096), full].concat();
    assert_eq!(read(&says, 1000).await.unwrap(), says);
}

#[tokio::test]
async fn a_server_that_speaks_no_amqp_is_not_waited_for() {
    for greeting in [&b"+OK\r\n"[..], b"H"] {
        let mut room = [0; 100];
        let count = frames(greeting, 100, FRAME_MAX)
            .read(&mut room)
            .await
            .unwrap();
        assert_eq!(count, greeting.len());
    }
}

#[tokio::test]
async fn what_is_no_frame_is_left_to_lapin() {
    let whole = header(0x2000, &nested(40));
    let broken_off = header(0x2000, b"\0\0\x10\0\x01h");
    let unknown_kind = header(0x2000, b"\0\0\0\x04\x01h?\0");
    for bytes in [
        b"AMQP\0\0\x09\x01",
        &whole[..30],
        &broken_off,
        &unknown_kind,
    ] {
        assert_eq!(read(bytes, 1000).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_frame_that_never_ends_is_not_waited_for() {
    let endless = [&[2, 0, 1, 0xff, 0, 0, 0], &[0; 64][..]].concat();
    assert!(read(&endless, 1000).await.is_err());
}

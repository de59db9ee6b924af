//! AMQP properties that no well-meaning producer writes: RabbitMQ hands them on as they are, and they stop nothing.

use serde_json::{Value, json};

use super::raw;
use crate::support::{Node, Stage, stage};

/// The flags of a message with nothing but that.
const HEADERS: [u8; 2] = [0x20, 0];
const MESSAGE_ID: [u8; 2] = [0, 0x80];
const NOTHING: [u8; 2] = [0, 0];

const NO_TEXT: &[u8] = b"M\xfcll\xe9";

async fn perform(stage: &mut Stage, key: &[u8], properties: &[u8], job: &Value) -> Value {
    let (url, exchange) = (&stage.place.url, &stage.place.names.jobs);
    raw::publish(url, (exchange, key), properties, job.to_string().as_bytes()).await;
    stage.outcomes.next().await.json()
}

fn job() -> Value {
    json!({"action": "pause", "queue": "1", "agent": "1"})
}

/// A header `h` of so many arrays, each in the one before.
fn nested(levels: u32) -> Vec<u8> {
    let sizes = (0..levels).rev().map(|inner| (inner * 5).to_be_bytes());
    let value: Vec<u8> = sizes.flat_map(|[a, b, c, d]| [b'A', a, b, c, d]).collect();
    let size = levels * 5 + 2;
    [&HEADERS[..], &size.to_be_bytes(), b"\x01h", &value].concat()
}

#[tokio::test]
async fn a_header_that_nests_as_deep_as_a_frame_allows_stops_nothing() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    for levels in [1, 100, 10_000, 26_000] {
        let outcome = perform(&mut stage, b"1", &nested(levels), &job()).await;
        assert_eq!(outcome["code"], "applied", "{levels}: {outcome}");
    }
}

/// As long as RabbitMQ takes a frame.
const FRAME_MAX: u32 = 131_072;

/// With them the frame is that long, and may have no room for what is added to it later.
fn long(frame: u32) -> Vec<u8> {
    let start = 14 + 4;
    let size = frame - start;
    let text = size - 2 - 5;
    let [size, length] = [size, text].map(|size: u32| size.to_be_bytes());
    let text = vec![b'x'; text as usize];
    [&HEADERS[..], &size, b"\x01hS", &length, &text].concat()
}

#[tokio::test]
async fn headers_as_long_as_a_frame_allows_stop_nothing_and_keep_no_job_from_the_dead_queue() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let sound = perform(&mut stage, b"1", &long(FRAME_MAX), &job()).await;
    assert_eq!(sound["code"], "applied", "{sound}");
    let bad = perform(&mut stage, b"1", &long(FRAME_MAX), &json!({})).await;
    assert_eq!(bad["code"], "missing_field", "{bad}");
    stage.dead.next().await;
}

#[tokio::test]
async fn where_the_url_asks_for_shorter_frames_headers_still_keep_no_job_from_the_dead_queue() {
    let mut stage = stage().await;
    let shorter = 65_536;
    let url = format!("{}?frame_max={shorter}", stage.place.url);
    let worker = stage.worker().set("amqp.url", &url).start().await;
    for frame in [shorter - 8, FRAME_MAX] {
        let bad = perform(&mut stage, b"1", &long(frame), &json!({})).await;
        assert_eq!(bad["code"], "missing_field", "{frame}: {bad}");
        stage.dead.next().await;
    }
    worker.shows("clockout_broker_reconnects_total 0").await;
}

#[tokio::test]
async fn a_rabbitmq_whose_frames_may_be_of_any_length_does_not_take_all_memory() {
    let node = Node::start();
    let mut stage = Stage::at(node.place()).await;
    node.ctl(&["eval", "application:set_env(rabbit, frame_max, 0)."]);
    let _worker = stage.worker().start().await;
    let sound = perform(&mut stage, b"1", &long(FRAME_MAX), &job()).await;
    assert_eq!(sound["code"], "applied", "{sound}");
}

#[tokio::test]
async fn a_rabbitmq_whose_frames_are_too_short_for_dead_letters_is_warned_about() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    node.ctl(&["eval", "application:set_env(rabbit, frame_max, 16384)."]);
    let worker = stage.worker().start().await;
    let log = worker.log();
    assert!(log.contains("set its frame_max to 131072"), "{log}");
}

#[tokio::test]
async fn a_message_id_that_is_no_text_names_no_job_and_stops_nothing() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let id = [&MESSAGE_ID[..], &[5], NO_TEXT].concat();
    let nameless = perform(&mut stage, b"1", &id, &job()).await;
    assert_eq!(nameless["code"], "bad_value", "{nameless}");
    let words = nameless["message"].as_str().unwrap();
    assert!(words.contains("message_id"), "{words}");
    let mut named = job();
    named["job_id"] = json!("a-name");
    let named = perform(&mut stage, b"1", &id, &named).await;
    assert_eq!(named["code"], "applied", "{named}");
}

#[tokio::test]
async fn a_routing_key_that_is_no_text_stops_nothing() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let sound = perform(&mut stage, NO_TEXT, &NOTHING, &job()).await;
    assert_eq!(sound["code"], "applied", "{sound}");
    let bad = perform(&mut stage, NO_TEXT, &NOTHING, &json!({})).await;
    assert_eq!(bad["code"], "missing_field", "{bad}");
    stage.dead.next().await;
}

/// A header twice: RabbitMQ looks at the first, as it should be, and clockout at the last, as RabbitMQ refuses it.
fn twice(name: &str) -> Vec<u8> {
    let name = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    let table = [&name, &b"A\0\0\0\0"[..], &name, b"S\0\0\0\x01x"].concat();
    let size = u32::try_from(table.len()).unwrap().to_be_bytes();
    [&HEADERS[..], &size, &table].concat()
}

#[tokio::test]
async fn further_routing_keys_that_rabbitmq_would_refuse_cost_no_connection_and_no_dead_letter() {
    let mut stage = stage().await;
    let worker = stage.worker().start().await;
    for name in ["CC", "BCC"] {
        let bad = perform(&mut stage, b"1", &twice(name), &json!({})).await;
        assert_eq!(bad["code"], "missing_field", "{name}: {bad}");
        stage.dead.next().await;
        let sound = perform(&mut stage, b"1", &NOTHING, &job()).await;
        assert_eq!(sound["code"], "applied", "{name}: {sound}");
    }
    worker.shows("clockout_broker_reconnects_total 0").await;
}

//! A message of the dead queue, and how it is published once more.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};

use super::super::{PERSISTENT, Parcel, plain};
use crate::broker::intake::{self, Taken};
use crate::broker::publisher::republished;
use crate::broker::receipt::Held;
use crate::broker::short;
use crate::engine::job::{Epoch, Ticket};
use crate::wire::{Incoming, dead_letter};

/// RabbitMQ's own counts of what it did with a message; in a new one they would be lies.
const COUNTS: [&str; 2] = [RETURNS, "x-acquired-count"];
const RETURNS: &str = "x-delivery-count";

/// How the headers begin that RabbitMQ adds when it moves a message to another queue by itself.
const DEATHS: [&str; 3] = ["x-death", "x-first-death-", "x-last-death-"];

/// A letter as it lies in the dead queue.
#[derive(Debug)]
pub struct Letter {
    pub message: Incoming,
    held: Held,
}

/// How the copy of a letter differs from it.
#[derive(Debug, Default)]
pub struct Changes {
    pub body: Option<Bytes>,
    pub message_id: Option<String>,
    /// It is a job again, replayed for this time: nothing tells any more that it was dead.
    pub replay: Option<u32>,
}

impl Letter {
    pub(super) fn of(delivery: Delivery, epoch: Epoch) -> Self {
        let taken = Taken { queue: 0, delivery };
        let (message, held) = intake::split(taken, epoch);
        Self { message, held }
    }

    pub fn routing_key(&self) -> &str {
        self.held.routing_key.as_str()
    }

    pub fn headers(&self) -> Map<String, Value> {
        let headers = self.held.properties.headers().as_ref();
        headers.map(plain::table).unwrap_or_default()
    }

    /// Without the headers.
    pub fn properties(&self) -> Map<String, Value> {
        plain::properties(&self.held.properties)
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.message.ticket
    }

    /// How often it was given back.
    pub(super) fn returns(&self) -> u32 {
        let count = intake::header(&self.held.properties, RETURNS);
        count.and_then(intake::count).unwrap_or_default()
    }

    pub(super) fn changed(&self, changes: &Changes) -> Parcel {
        let Held {
            body,
            properties,
            routing_key,
            ..
        } = &self.held;
        let copy = republished(properties);
        let headers = headers(&copy, changes.replay);
        let mut copy = copy.with_delivery_mode(PERSISTENT).with_headers(headers);
        if let Some(id) = &changes.message_id {
            copy = copy.with_message_id(short(id));
        }
        Parcel {
            routing_key: routing_key.clone(),
            properties: copy,
            body: changes.body.clone().unwrap_or_else(|| body.clone()),
        }
    }
}

fn headers(properties: &BasicProperties, replay: Option<u32>) -> FieldTable {
    let of_death = |name: &str| {
        dead_letter::HEADERS.contains(&name) || DEATHS.iter().any(|start| name.starts_with(start))
    };
    let stays = |name: &str| !COUNTS.contains(&name) && (replay.is_none() || !of_death(name));
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if stays(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Some(replay) = replay {
        let value = AMQPValue::LongLongInt(replay.into());
        headers.insert(dead_letter::REPLAY.into(), value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        let mut headers = FieldTable::default();
        for name in [
            "crm",
            "clockout-code",
            "clockout-message",
            "x-death",
            "x-first-death-queue",
        ] {
            headers.insert(name.into(), AMQPValue::LongString("text".into()));
        }
        headers.insert("clockout-replay".into(), AMQPValue::LongInt(1));
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(12));
        let mut delivery = Delivery::mock(
            5,
            "clockout.dead".into(),
            "10000".into(),
            true,
            b"{}".to_vec(),
        );
        delivery.properties = BasicProperties::default()
            .with_message_id("m-1".into())
            .with_expiration("1000".into())
            .with_headers(headers);
        Letter::of(delivery, Epoch(3))
    }

    fn names(parcel: &Parcel) -> Vec<&str> {
        let headers = parcel.properties.headers().as_ref().unwrap();
        headers
            .inner()
            .keys()
            .map(lapin::types::ShortString::as_str)
            .collect()
    }

    #[test]
    fn a_replayed_letter_is_the_original_job_and_says_how_often_it_came_back() {
        let changes = Changes {
            replay: Some(2),
            ..Changes::default()
        };
        let parcel = letter().changed(&changes);
        assert_eq!(names(&parcel), ["clockout-replay", "crm"]);
        let headers = parcel.properties.headers().as_ref().unwrap();
        assert_eq!(
            headers.inner()["clockout-replay"],
            AMQPValue::LongLongInt(2)
        );
        assert_eq!(parcel.routing_key.as_str(), "10000");
        assert_eq!(parcel.body, b"{}".as_slice());
        assert_eq!(*parcel.properties.message_id(), Some("m-1".into()));
        assert_eq!(*parcel.properties.delivery_mode(), Some(PERSISTENT));
        assert_eq!(*parcel.properties.expiration(), None);
    }

    #[test]
    fn a_renewed_letter_is_as_dead_as_before_but_counts_anew() {
        let letter = letter();
        assert_eq!(letter.returns(), 12);
        let parcel = letter.changed(&Changes::default());
        let expected = [
            "clockout-code",
            "clockout-message",
            "clockout-replay",
            "crm",
            "x-death",
            "x-first-death-queue",
        ];
        assert_eq!(names(&parcel), expected);
    }

    #[test]
    fn what_changes_is_changed() {
        let changes = Changes {
            body: Some(Bytes::from_static(b"[]")),
            message_id: Some("m-2".to_owned()),
            replay: None,
        };
        let parcel = letter().changed(&changes);
        assert_eq!(parcel.body, b"[]".as_slice());
        assert_eq!(*parcel.properties.message_id(), Some("m-2".into()));
    }

    #[test]
    fn neither_a_renewed_nor_a_replayed_letter_has_what_rabbitmq_refuses() {
        let mut letter = letter();
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::LongString("2".into()));
        headers.insert("crm".into(), AMQPValue::Void);
        letter.held.properties = BasicProperties::default()
            .with_reply_to("amq.rabbitmq.reply-to".into())
            .with_headers(headers);
        for (replay, left) in [
            (None, vec!["crm"]),
            (Some(1), vec!["clockout-replay", "crm"]),
        ] {
            let parcel = letter.changed(&Changes {
                replay,
                ..Changes::default()
            });
            assert_eq!(names(&parcel), left);
            assert_eq!(*parcel.properties.reply_to(), None);
        }
    }
}

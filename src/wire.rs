//! Bytes to engine types and back. Knows JSON and the contract's field names; knows no AMQP library.

pub mod dead_letter;
pub mod excerpt;
pub mod job;
pub mod nameless;
pub mod outcome;
pub mod schema;
pub mod time;
pub mod told;
pub mod trace_context;

use bytes::Bytes;

use crate::engine::job::{Agent, Epoch, Ticket};

/// A message of the jobs queue as it came.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub ticket: Ticket,
    /// RabbitMQ's flag: it may have been delivered before.
    pub redelivered: bool,
    /// Shared with the broker side, which keeps it for a dead letter.
    pub body: Bytes,
    pub message_id: Option<String>,
    pub correlation_id: Option<String>,
    /// The AMQP `timestamp` property: seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// Header `traceparent`.
    pub traceparent: Option<String>,
    /// Header `clockout-replay`.
    pub replay: Option<u32>,
}

impl Incoming {
    /// A message of which only its body counts, and which no broker delivered.
    pub fn bare(body: impl Into<Bytes>) -> Self {
        Self {
            ticket: Ticket {
                epoch: Epoch(0),
                tag: 0,
            },
            redelivered: false,
            body: body.into(),
            message_id: None,
            correlation_id: None,
            timestamp: None,
            traceparent: None,
            replay: None,
        }
    }
}

/// An outcome ready to publish to the results exchange (CONTRACT §5). Content type, delivery mode, type and
/// `app_id` are the same for all and added by the publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom it is about; `None` if the message was no valid job.
    pub agent: Option<Agent>,
    pub routing_key: String,
    pub body: Vec<u8>,
    pub message_id: String,
    pub correlation_id: Option<String>,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    pub headers: Vec<(&'static str, String)>,
}

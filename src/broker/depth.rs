//! How a queue stands, asked without touching it. What the answer means is for whoever asks.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

/// What RabbitMQ counts in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    /// Messages that wait; none that a consumer holds.
    pub ready: u32,
    pub consumers: u32,
}

/// Asks by a passive declaration, which needs no rights and changes nothing.
///
/// # Errors
///
/// RabbitMQ's, which closes the channel if there is no such queue.
pub(super) async fn depth(channel: &Channel, queue: ShortString) -> lapin::Result<Depth> {
    let passive = QueueDeclareOptions {
        passive: true,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
    };
    let queue = channel
        .queue_declare(queue, passive, FieldTable::default())
        .await?;
    Ok(Depth {
        ready: queue.message_count(),
        consumers: queue.consumer_count(),
    })
}

//! What a command does at RabbitMQ beside the worker: publishes messages, follows an exchange, reads and takes dead
//! letters, removes a topology.
//!
//! One connection that is never rebuilt: when it breaks, the command fails and says why. Knows no job and no outcome.

mod feed;
mod letters;
mod plain;

use std::iter::once;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueDeleteOptions,
};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ErrorKind};
use tokio::time::timeout;

use super::connection::{BadAddress, ConnectError};
use super::nodes::Nodes;
use super::topology::{self, TopologyError};
use super::{Names, Settings, short};

pub use feed::{Feed, Received};
pub use letters::{Changes, Letter, Letters, Standing};

/// Longest wait for RabbitMQ to confirm what was published.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

const PERSISTENT: u8 = 2;

/// Why a command cannot go on with RabbitMQ.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClientError(#[from] Why);

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error("RabbitMQ did not confirm a publish within {} s", CONFIRM_TIMEOUT.as_secs())]
    NoConfirm,
    #[error("RabbitMQ refuses messages for exchange `{exchange}`: is its queue full?")]
    Refused { exchange: String },
    #[error(
        "no queue takes what is published to exchange `{exchange}`: start the worker, which declares what it needs, \
         or bind a queue"
    )]
    Unroutable { exchange: String },
    #[error(
        "there is no exchange `{exchange}`: start the worker, which declares what it needs, or correct the name in the \
         settings"
    )]
    NoExchange { exchange: String },
    #[error("RabbitMQ ended the subscription")]
    Cancelled,
    #[error(
        "there is no queue `{queue}`: start the worker, which declares what it needs, or correct the name in the settings"
    )]
    NoQueue { queue: String },
    #[error("RabbitMQ took letters back before all were read ({0}): give the command once more")]
    TakenBack(lapin::Error),
    #[error(
        "letters that were read often could not be published to exchange `{exchange}` once more, and RabbitMQ 4 drops what is \
         read too often: {why}"
    )]
    NotRenewed { exchange: String, why: Box<Why> },
    #[error("queue `{queue}` has messages, and RabbitMQ delivers none of them")]
    Stalled { queue: String },
    #[error("RabbitMQ: {0}")]
    Lapin(#[from] lapin::Error),
}

impl Why {
    /// What lapin says of an attempt to use `exchange`.
    fn of_exchange(exchange: &str, error: lapin::Error) -> Self {
        const NOT_FOUND: u16 = 404;
        if let ErrorKind::ProtocolError(refusal) = error.kind()
            && refusal.get_id() == NOT_FOUND
        {
            let exchange = exchange.to_owned();
            return Self::NoExchange { exchange };
        }
        Self::Lapin(error)
    }
}

/// A JSON message to publish; it is persistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub routing_key: String,
    pub body: Vec<u8>,
    pub message_id: Option<String>,
}

/// Anything to publish.
struct Parcel {
    routing_key: ShortString,
    properties: BasicProperties,
    body: Bytes,
}

impl From<Message> for Parcel {
    fn from(message: Message) -> Self {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT);
        if let Some(id) = &message.message_id {
            properties = properties.with_message_id(short(id));
        }
        Self {
            routing_key: short(&message.routing_key),
            properties,
            body: message.body.into(),
        }
    }
}

/// A connection to RabbitMQ of a command's own.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    /// In confirm mode.
    publishing: Channel,
}

impl Client {
    /// `role` tells the connection apart in RabbitMQ's listings.
    pub async fn connect(settings: &Settings, role: &str) -> Result<Self, ClientError> {
        let connect = async || -> Result<Self, Why> {
            let connection = Nodes::new(settings)?.connect(role).await?;
            let publishing = confirming(&connection).await?;
            Ok(Self {
                connection,
                publishing,
            })
        };
        Ok(connect().await?)
    }

    /// Declares or checks the topology, as the worker does when it starts.
    pub async fn set_up(&self, settings: &Settings) -> Result<(), ClientError> {
        let set_up = topology::set_up(&self.connection, settings, &[]).await;
        Ok(set_up.map_err(Why::from)?)
    }

    /// Publishes `messages` in their order, and returns once RabbitMQ has confirmed all of them and a queue took each.
    pub async fn publish(&self, exchange: &str, messages: Vec<Message>) -> Result<(), ClientError> {
        let parcels = messages.into_iter().map(Parcel::from);
        Ok(publish_all(&self.publishing, exchange, parcels).await?)
    }

    /// Begins to read the dead queue of `names`.
    pub async fn letters(&self, names: &Names) -> Result<Letters<'_>, ClientError> {
        Ok(Letters::open(self, names).await?)
    }

    /// Everything published to `exchange` from now on whose routing key matches one of `patterns`.
    pub async fn follow(
        &self,
        exchange: &str,
        patterns: &[impl AsRef<str>],
    ) -> Result<Feed, ClientError> {
        Ok(Feed::open(&self.connection, exchange, patterns).await?)
    }

    /// Deletes the queues and exchanges of `names` with all that they hold; what is not there is fine.
    pub async fn delete(&self, names: &Names) -> Result<(), ClientError> {
        let queues = names
            .jobs_queues()
            .chain(once(names.dead_queue.clone()))
            .chain(names.results_queue.clone());
        let shards_exchange = names.shards_exchange();
        let exchanges = [
            &names.jobs_exchange,
            &shards_exchange,
            &names.results_exchange,
            &names.dead_exchange,
        ];
        let delete = async || -> Result<(), Why> {
            for queue in queues {
                let options = QueueDeleteOptions {
                    if_unused: false,
                    if_empty: false,
                    nowait: false,
                };
                self.publishing.queue_delete(short(&queue), options).await?;
            }
            for exchange in exchanges {
                let options = ExchangeDeleteOptions {
                    if_unused: false,
                    nowait: false,
                };
                self.publishing
                    .exchange_delete(short(exchange), options)
                    .await?;
            }
            Ok(())
        };
        Ok(delete().await?)
    }

    /// In good order if RabbitMQ agrees; there is nothing left to lose.
    pub async fn close(self) {
        self.connection.close(200, "done".into()).await.ok();
    }
}

/// A channel in confirm mode.
async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions { nowait: false })
        .await?;
    Ok(channel)
}

/// Returns once RabbitMQ has confirmed all of them and a queue took each. After an error any of them may have been published.
async fn publish_all(
    channel: &Channel,
    exchange: &str,
    parcels: impl Iterator<Item = Parcel>,
) -> Result<(), Why> {
    let publishes = parcels.map(|parcel| publish_one(channel, exchange, parcel));
    let confirms = timeout(CONFIRM_TIMEOUT, try_join_all(publishes))
        .await
        .map_err(|_| Why::NoConfirm)?
        .map_err(|error| Why::of_exchange(exchange, error))?;
    let exchange = || exchange.to_owned();
    for confirm in confirms {
        if !confirm.is_ack() {
            let exchange = exchange();
            return Err(Why::Refused { exchange });
        }
        // A returned message comes with whichever confirm is next, so it speaks for the burst and not for its own.
        if confirm.take_message().is_some() {
            let exchange = exchange();
            return Err(Why::Unroutable { exchange });
        }
    }
    Ok(())
}

async fn publish_one(
    channel: &Channel,
    exchange: &str,
    parcel: Parcel,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    channel
        .basic_publish(
            short(exchange),
            parcel.routing_key,
            options,
            &parcel.body,
            parcel.properties,
        )
        .await?
        .await
}

//! The consumer: hears every outcome and dead letter, whatever goes wrong.
//!
//! Outcomes go to a queue of its own beside the worker's catch-all, as a real consumer's would. It acknowledges what it
//! has written down, so that nothing is lost on its own side when the broker goes away.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::record::Record;
use crate::support::{Place, Rabbit, connect};

/// Takes all outcomes.
const QUEUE: &str = "heard";

/// Most messages taken and not yet acknowledged.
const PREFETCH: u16 = 1_000;

/// Before it looks again for a queue or a broker that is not there.
const PAUSE: Duration = Duration::from_millis(200);

/// Hears until it is dropped.
pub struct Hearing {
    place: Place,
    record: Arc<Record>,
    _outcomes: AbortOnDropHandle<()>,
    _letters: AbortOnDropHandle<()>,
}

impl Hearing {
    pub async fn start(place: &Place, record: &Arc<Record>) -> Hearing {
        let rabbit = Rabbit::connect(&place.url).await;
        let channel = rabbit.channel().await;
        let declared = declare(&channel, &place.names.results).await;
        declared.expect("a broker that is well");
        Hearing {
            place: place.clone(),
            record: Arc::clone(record),
            _outcomes: hear(place, QUEUE, record, |record, delivery| {
                record.hear(&delivery.data, delivery.redelivered);
            }),
            _letters: hear(place, &place.names.dead, record, |record, delivery| {
                record.bury(&delivery.properties);
            }),
        }
    }

    /// Leaves outcomes without any queue: the catch-all is deleted, and its own queue gets no more.
    pub async fn lose_queues(&self) {
        let rabbit = Rabbit::connect(&self.place.url).await;
        let channel = rabbit.channel().await;
        let results = self.place.names.results.as_str();
        channel
            .queue_delete(results.into(), QueueDeleteOptions::default())
            .await
            .expect("the catch-all is deleted");
        channel
            .queue_unbind(
                QUEUE.into(),
                results.into(),
                "#".into(),
                FieldTable::default(),
            )
            .await
            .expect("nothing is bound any more");
    }

    /// Gets outcomes again; and those that only a catch-all got, where a worker came back meanwhile and declared it.
    pub async fn listen_again(&self) {
        let rabbit = Rabbit::connect(&self.place.url).await;
        declare(&rabbit.channel().await, &self.place.names.results)
            .await
            .expect("a broker that is well");
        self.hear_catch_all().await;
    }

    /// Hears what only the catch-all has. An outcome that was on its way when its own queue was bound again gets there after
    /// [`Self::listen_again`] has looked.
    pub async fn hear_catch_all(&self) {
        let rabbit = Rabbit::connect(&self.place.url).await;
        let channel = rabbit.channel().await;
        let options = BasicGetOptions { no_ack: true };
        let results = self.place.names.results.as_str();
        // An error: no worker came back, and none stands.
        while let Ok(Some(got)) = channel.basic_get(results.into(), options).await {
            self.record.hear_copy(&got.delivery.data);
        }
    }
}

/// Its own queue, with all outcomes.
async fn declare(channel: &Channel, results: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            results.into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        )
        .await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(
            QUEUE.into(),
            results.into(),
            "#".into(),
            bind,
            FieldTable::default(),
        )
        .await
}

fn hear(
    place: &Place,
    queue: &str,
    record: &Arc<Record>,
    note: fn(&Record, &Delivery),
) -> AbortOnDropHandle<()> {
    let (place, queue, record) = (place.clone(), queue.to_owned(), Arc::clone(record));
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            // Whatever ended it: there is nothing to do but to begin again.
            consume(&place, &queue, &record, note).await.ok();
            sleep(PAUSE).await;
        }
    }))
}

async fn consume(
    place: &Place,
    queue: &str,
    record: &Record,
    note: fn(&Record, &Delivery),
) -> lapin::Result<()> {
    let connection = connect(place).await?;
    let channel = connection.create_channel().await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions { global: false })
        .await?;
    let consumer = channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut bursts = consumer.ready_chunks(usize::from(PREFETCH) / 4);
    while let Some(burst) = bursts.next().await {
        let mut last = None;
        for delivery in burst {
            let delivery = delivery?;
            note(record, &delivery);
            last = Some(delivery.delivery_tag);
        }
        if let Some(tag) = last {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await?;
        }
    }
    Ok(())
}

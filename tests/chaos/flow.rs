//! The producer: publishes jobs at a rate, whatever goes wrong, and each again until the broker has confirmed it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connection};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::jobs::Jobs;
use crate::oracle::{Job, Kind};
use crate::record::{Posting, Record};
use crate::support::{Place, connect, json_message};

/// Most jobs published before their confirms are waited for. They are published again together: so their order holds,
/// whichever of them the broker had taken already.
const BURST_MAX: usize = 500;

/// How often it looks what is due, or whether the broker is back.
const BEAT: Duration = Duration::from_millis(50);

/// From one job to the next once all are sent and things still go wrong: they show when a worker has recovered.
const TRICKLE: Duration = Duration::from_millis(50);

/// Longest wait for the broker's confirms, before the burst is published again over a new connection.
const CONFIRM_MAX: Duration = Duration::from_secs(10);

/// Longest that the flow may take for what was lost before.
const LOSS_MAX: Duration = Duration::from_mins(5);

/// How many jobs to send, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    pub jobs: usize,
    /// From one job to the next.
    pub pace: Duration,
}

pub struct Flow {
    place: Place,
    record: Arc<Record>,
    jobs: Jobs,
    session: Option<(Connection, Channel)>,
    enough: watch::Receiver<bool>,
    losses: mpsc::Receiver<Vec<String>>,
}

/// What can be asked of a flow that runs.
pub struct Orders {
    enough: watch::Sender<bool>,
    losses: mpsc::Sender<Vec<String>>,
}

impl Orders {
    /// It may end once it has published all; the rest without waiting.
    pub fn enough(&self) {
        self.enough.send_replace(true);
    }

    /// Has these queues deleted with all that is in them, and what was lost so published again.
    pub async fn lose(&self, queues: Vec<String>) {
        let taken = self.losses.send_timeout(queues, LOSS_MAX).await;
        taken.expect("the flow runs, and has published again what was lost before");
    }
}

#[derive(Debug, Clone)]
struct Message {
    number: usize,
    key: String,
    properties: BasicProperties,
    body: Vec<u8>,
}

impl Flow {
    pub fn new(place: &Place, record: &Arc<Record>, jobs: Jobs) -> (Flow, Orders) {
        let (enough, is_enough) = watch::channel(false);
        let (loss, losses) = mpsc::channel(1);
        let flow = Flow {
            place: place.clone(),
            record: Arc::clone(record),
            jobs,
            session: None,
            enough: is_enough,
            losses,
        };
        let orders = Orders {
            enough,
            losses: loss,
        };
        (flow, orders)
    }

    /// Publishes until all is sent and it is enough.
    pub async fn run(mut self, volume: Volume) {
        let mut sent = 0;
        let mut next_due = Instant::now();
        while sent < volume.jobs || !*self.enough.borrow() {
            if let Ok(queues) = self.losses.try_recv() {
                self.lose(&queues).await;
            }
            let left = volume.jobs.saturating_sub(sent);
            let (most, pace) = match (left, *self.enough.borrow()) {
                (0, _) => (BURST_MAX, TRICKLE),
                (left, true) => (left.min(BURST_MAX), Duration::ZERO),
                (left, false) => (left.min(BURST_MAX), volume.pace),
            };
            let mut burst = 0;
            // What came due while the broker was away comes at once, as from real producers.
            while burst < most && next_due <= Instant::now() {
                burst += 1;
                next_due += pace;
            }
            if burst == 0 {
                sleep(BEAT).await;
            } else {
                self.send(burst).await;
                sent += burst;
            }
        }
    }

    /// What is lost with the queues, its producers miss the outcomes of, and send again. Nothing new is sent meanwhile, so
    /// the jobs of an agent keep their order.
    async fn lose(&mut self, queues: &[String]) {
        for queue in queues {
            while !self.delete(queue).await {
                self.session = None;
                sleep(BEAT).await;
            }
        }
        self.record.lose();
        let missed = self.record.missed();
        for numbers in missed.chunks(BURST_MAX) {
            let messages: Vec<Message> = {
                let record = self.record.look();
                let message = |number: &usize| {
                    let job = &record.account.sent[*number].job;
                    Message::of(job, &record.postings[*number], self.jobs.id(job))
                };
                numbers.iter().map(message).collect()
            };
            // The first alone, until there is a queue again: one that is declared amid a burst would take a later job of an agent and not
            // the one before, which would come after it then.
            let (first, others) = messages.split_at(1);
            self.publish_until_confirmed(first).await;
            self.publish_until_confirmed(others).await;
        }
    }

    /// `false` if it may still stand.
    async fn delete(&mut self, queue: &str) -> bool {
        let delete = async {
            let channel = self.channel().await?;
            channel
                .queue_delete(queue.into(), QueueDeleteOptions::default())
                .await
        };
        matches!(timeout(CONFIRM_MAX, delete).await, Ok(Ok(_)))
    }

    async fn send(&mut self, burst: usize) {
        let mut messages = Vec::with_capacity(burst);
        for _ in 0..burst {
            let job = self.jobs.next();
            let id = self.jobs.id(&job);
            let posting = Posting::new(&job, &id);
            let message = Message::of(&job, &posting, id);
            if job.kind == Kind::Repeated {
                messages.push(message.clone());
            }
            messages.push(message);
            self.record.send(job, posting);
        }
        self.publish_until_confirmed(&messages).await;
    }

    async fn publish_until_confirmed(&mut self, messages: &[Message]) {
        let numbers: Vec<usize> = messages.iter().map(|message| message.number).collect();
        loop {
            self.record.publish(&numbers);
            if self.publish(messages).await {
                return;
            }
            self.session = None;
            sleep(BEAT).await;
        }
    }

    /// `false` if any of them may not be in a jobs queue.
    async fn publish(&mut self, messages: &[Message]) -> bool {
        let attempt = async {
            let channel = self.channel().await?;
            let exchange = &self.place.names.jobs;
            try_join_all(messages.iter().map(|m| m.publish(&channel, exchange))).await
        };
        match timeout(CONFIRM_MAX, attempt).await {
            Ok(Ok(taken)) => taken.into_iter().all(|taken| taken),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// The channel of the connection that stands, or of a new one.
    async fn channel(&mut self) -> lapin::Result<Channel> {
        if let Some((_, channel)) = &self.session {
            return Ok(channel.clone());
        }
        let connection = connect(&self.place).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        self.session = Some((connection, channel.clone()));
        Ok(channel)
    }
}

impl Message {
    fn of(job: &Job, posting: &Posting, id: String) -> Message {
        Message {
            number: job.number,
            key: job.queue.clone(),
            properties: json_message().with_message_id(id.into()),
            body: posting.body.clone(),
        }
    }

    /// Whether the broker has put it into a queue.
    async fn publish(&self, channel: &Channel, exchange: &str) -> lapin::Result<bool> {
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let confirm = channel.basic_publish(
            exchange.into(),
            self.key.as_str().into(),
            options,
            &self.body,
            self.properties.clone(),
        );
        let confirmation = confirm.await?.await?;
        Ok(confirmation.is_ack() && confirmation.take_message().is_none())
    }
}

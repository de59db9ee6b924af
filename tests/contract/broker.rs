//! Guards what the broker side promises the worker, on a real RabbitMQ: topology, deliveries, settlements, publishes,
//! and that any loss leads back to a session.

mod losses;
mod publishing;
mod settling;
pub mod tls;
mod topology;

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use clockout::broker::{
    self, Address, Addresses, Broker, Command, Event, Names, Publication, Settings, Tls,
};
use clockout::engine::job::{Epoch, Ticket};
use clockout::engine::{Disposition, Published, TellId};
use clockout::wire::{Incoming, Outgoing};
use lapin::BasicProperties;
use secrecy::SecretString;

use crate::support::{Place, Rabbit, within};

fn settings(place: &Place) -> Settings {
    Settings {
        addresses: Addresses {
            first: address(&place.url),
            others: Vec::new(),
        },
        tls: Tls::default(),
        names: Names {
            jobs_exchange: place.names.jobs.clone(),
            jobs_queue: place.names.jobs.clone(),
            shards: NonZeroU16::MIN,
            results_exchange: place.names.results.clone(),
            results_queue: Some(place.names.results.clone()),
            dead_exchange: place.names.dead.clone(),
            dead_queue: place.names.dead.clone(),
        },
        declare: true,
        prefetch: NonZeroU16::new(100).unwrap(),
        delivery_limit: NonZeroU32::new(100).unwrap(),
        connection_name: "clockout test".to_owned(),
        pulse_every: Duration::from_millis(100),
    }
}

fn address(url: &str) -> Address {
    Address {
        url: SecretString::from(url),
        shown: "the test's RabbitMQ".to_owned(),
    }
}

fn outcome(tell: u64, routing_key: &str) -> Publication {
    Publication::Outcome {
        tell: TellId(tell),
        message: Outgoing {
            agent: None,
            routing_key: routing_key.to_owned(),
            body: format!("{{\"tell\":{tell}}}").into_bytes(),
            message_id: format!("outcome-{tell}"),
            correlation_id: Some("correlation".to_owned()),
            timestamp: 1_795_000_000,
            headers: vec![("status", "succeeded".to_owned())],
        },
    }
}

/// Most events that one wait passes over.
const EVENTS_MAX: usize = 12;

/// The broker side, driven as the worker drives it.
struct Side {
    broker: Broker,
    /// Of the last session that stood.
    epoch: Epoch,
}

impl Side {
    fn start(settings: Settings) -> Side {
        Side {
            broker: broker::spawn(settings, 1),
            epoch: Epoch(0),
        }
    }

    /// Started, up and consuming.
    async fn consuming(settings: Settings) -> Side {
        let mut side = Side::start(settings);
        side.command(Command::Intake { open: true }).await;
        side.subscribed().await;
        side
    }

    async fn command(&self, command: Command) {
        within("room for a command", self.broker.commands.send(command))
            .await
            .expect("the broker side runs");
    }

    /// The next event that is no mere sign of life.
    async fn event(&mut self) -> Event {
        let events = &mut self.broker.events;
        let event = within("an event of the broker side", async {
            loop {
                match events.recv().await.expect("the broker side runs") {
                    Event::Pulse(_) => {}
                    event => break event,
                }
            }
        })
        .await;
        if let Event::Up { epoch } = event {
            self.epoch = epoch;
        }
        event
    }

    /// Passes over events until `pick` takes one, which may take a whole reconnect but not for ever.
    async fn until<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> T {
        let mut passed = Vec::new();
        for _ in 0..EVENTS_MAX {
            let event = self.event().await;
            passed.push(format!("{event:?}"));
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
        panic!("waited in vain; what came instead: {passed:#?}")
    }

    async fn up(&mut self) -> Epoch {
        self.until(|event| match event {
            Event::Up { epoch } => Some(epoch),
            _ => None,
        })
        .await
    }

    async fn subscribed(&mut self) {
        self.until(|event| matches!(event, Event::Subscribed { subscribed: true }).then_some(()))
            .await;
    }

    async fn lost(&mut self) -> String {
        self.until(|event| match event {
            Event::Lost { why, .. } => Some(why),
            _ => None,
        })
        .await
    }

    async fn deliveries(&mut self, count: usize) -> Vec<Incoming> {
        let mut all = Vec::new();
        while all.len() < count {
            if let Event::Delivered { deliveries } = self.event().await {
                all.extend(deliveries);
            }
        }
        assert_eq!(all.len(), count);
        all
    }

    async fn publish(&self, publications: Vec<Publication>) {
        let epoch = self.epoch;
        self.command(Command::Publish {
            epoch,
            publications,
        })
        .await;
    }

    async fn told(&mut self, count: usize) -> Vec<(TellId, Published)> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.event().await {
                Event::Told { results } => all.extend(results),
                Event::Lost { why, .. } => panic!("lost: {why}"),
                _ => {}
            }
        }
        assert_eq!(all.len(), count);
        all.sort_unstable_by_key(|&(tell, _)| tell);
        all
    }

    async fn buried(&mut self) -> (Ticket, Published) {
        let results = self
            .until(|event| match event {
                Event::Buried { results } => Some(results),
                _ => None,
            })
            .await;
        assert_eq!(results.len(), 1);
        results[0]
    }

    async fn settle(&self, tickets: impl IntoIterator<Item = Ticket>, disposition: Disposition) {
        let settlements = tickets.into_iter().map(|t| (t, disposition)).collect();
        self.command(Command::Settle { settlements }).await;
    }

    /// Closes, and waits until all is flushed and ended.
    async fn close(mut self) {
        self.command(Command::Close).await;
        self.until(|event| matches!(event, Event::Closed).then_some(()))
            .await;
        within("the end of the supervisor", &mut self.broker.task)
            .await
            .unwrap();
    }
}

async fn send_jobs(rabbit: &Rabbit, place: &Place, count: usize) {
    for number in 0..count {
        let body = format!("job {number}");
        rabbit
            .publish(
                &place.names.jobs,
                "10000",
                body.as_bytes(),
                BasicProperties::default(),
            )
            .await;
    }
}

fn tickets(deliveries: &[Incoming]) -> Vec<Ticket> {
    deliveries.iter().map(|delivery| delivery.ticket).collect()
}

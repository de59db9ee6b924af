//! Reads the letters of the dead queue. Every one stays there, in its place, unless it is taken; also if the reading is
//! cut short.
//!
//! The only way to look into a queue is to take messages and give them back. RabbitMQ gives back in their order what one
//! channel holds when that channel closes; so all letters are held, by as many channels as it takes, and these closed in
//! their order, each once what the one before held is back. And it counts how often a message went back: version 4 drops it after 20 times. So a letter that went back often is renewed:
//! published to the dead exchange once more, confirmed, and only then taken.

mod letter;
mod shelf;

use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery;
use tokio::time::{sleep, timeout};

use super::{Client, ClientError, Why, confirming, publish_all};
use crate::broker::depth::depth;
use crate::broker::topology::{TopologyError, explain};
use crate::broker::{Names, short};
use crate::engine::job::{Epoch, Ticket};

pub use letter::{Changes, Letter};
use shelf::Shelf;

/// Of the first shelf. The deliveries of each are an epoch of their own.
const FIRST: Epoch = Epoch(1);

/// How often a letter may have gone back before it is renewed: half of what RabbitMQ 4 allows. The other half is for readings
/// that were cut short before they came to it.
const RETURNS_MAX: u32 = 10;

/// Most letters renewed at once.
const BURST_MAX: usize = 100;

/// Longest silence before the queue is asked whether it has letters left.
const QUIET: Duration = Duration::from_secs(1);

/// Most silences in a row while it says that it has.
const QUIET_MAX: u32 = 30;

/// How long to wait before asking again whether what was given back is there.
const RETURN_WAIT: Duration = Duration::from_millis(10);

/// Most of these waits: somebody may have taken it meanwhile.
const RETURN_WAITS_MAX: u32 = 1_000;

/// How the dead queue stood before the first letter was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Without those that others hold.
    pub letters: u32,
    /// What they hold, or take meanwhile, is not seen.
    pub other_consumers: u32,
}

/// The letters that were in the dead queue when this was opened, in their order.
#[derive(Debug)]
pub struct Letters<'c> {
    client: &'c Client,
    queue: String,
    /// Where letters are renewed.
    exchange: String,
    standing: Standing,
    /// For questions about the queue.
    asking: Channel,
    /// A channel of its own: an exchange that is not there would cost it that of the others.
    renewing: Channel,
    seen: u32,
    /// Of those, how many are gone from the queue for good.
    taken: u32,
    /// Each holds as many letters as it may, or did.
    full: Vec<Shelf>,
    shelf: Shelf,
    /// To be kept, but gone back too often. At most [`BURST_MAX`].
    worn: Vec<Letter>,
}

impl<'c> Letters<'c> {
    pub(super) async fn open(client: &'c Client, names: &Names) -> Result<Self, Why> {
        let queue = names.dead_queue.clone();
        let asking = client.connection.create_channel().await?;
        let standing = ask(&asking, &queue).await?;
        let shelf = Shelf::open(&client.connection, &queue, FIRST).await?;
        Ok(Self {
            client,
            queue,
            exchange: names.dead_exchange.clone(),
            standing,
            asking,
            renewing: confirming(&client.connection).await?,
            seen: 0,
            taken: 0,
            full: Vec::new(),
            shelf,
            worn: Vec::new(),
        })
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The next letter; `None` after the last. Each one is then to be kept, taken or published.
    pub async fn next(&mut self) -> Result<Option<Letter>, ClientError> {
        if self.seen == self.standing.letters {
            return Ok(None);
        }
        if self.shelf.is_full() {
            self.put_away().await?;
        }
        let Some(delivery) = self.delivery().await? else {
            return Ok(None);
        };
        self.seen += 1;
        Ok(Some(Letter::of(delivery, self.shelf.epoch)))
    }

    /// Leaves a letter where it is.
    pub async fn keep(&mut self, letter: Letter) -> Result<(), ClientError> {
        if letter.returns() >= RETURNS_MAX {
            self.worn.push(letter);
        }
        if self.worn.len() >= BURST_MAX {
            self.renew().await?;
        }
        Ok(())
    }

    /// Takes letters out of the queue, for good.
    pub async fn take(&mut self, letters: Vec<Letter>) -> Result<(), ClientError> {
        let tickets: Vec<Ticket> = letters.iter().map(Letter::ticket).collect();
        self.taken += u32::try_from(tickets.len()).unwrap_or(u32::MAX);
        Ok(self.acknowledge(tickets).await?)
    }

    /// Publishes letters to an exchange, changed, and takes them once RabbitMQ has confirmed every one. After an error they
    /// are all kept, and any of them may have been published.
    pub async fn publish(
        &mut self,
        exchange: &str,
        letters: Vec<(Letter, Changes)>,
    ) -> Result<(), ClientError> {
        let parcels = letters
            .iter()
            .map(|(letter, changes)| letter.changed(changes));
        let published = publish_all(&self.client.publishing, exchange, parcels).await;
        let letters = letters.into_iter().map(|(letter, _)| letter);
        if let Err(why) = published {
            for letter in letters {
                self.keep(letter).await?;
            }
            return Err(why.into());
        }
        self.take(letters.collect()).await
    }

    /// Reads what is left, and gives back in its order what was not taken. To stop before is to put what was read behind
    /// what was not: RabbitMQ delivers what came back first, but in the order in which it came back.
    pub async fn close(mut self) -> Result<(), ClientError> {
        while let Some(letter) = self.next().await? {
            self.keep(letter).await?;
        }
        self.leave().await
    }

    /// Gives back at once what was not taken; whoever reads the queue next finds it there.
    pub async fn leave(mut self) -> Result<(), ClientError> {
        // Sent ahead and never asked for: it goes back like the others, and that counts.
        let epoch = self.shelf.epoch;
        for delivery in self.shelf.stop().await? {
            self.seen += 1;
            self.keep(Letter::of(delivery, epoch)).await?;
        }
        self.renew().await?;
        self.full.push(self.shelf);
        for shelf in &self.full {
            shelf.settle(&self.queue).await?;
        }
        let kept = self.seen.saturating_sub(self.taken);
        let held: u32 = self.full.iter().map(Shelf::held).sum();
        // What was renewed is there already.
        let mut back = kept.saturating_sub(held);
        let others = self.standing.other_consumers;
        // Who else reads may take what is back before it is counted, and then there is no order to keep.
        let mut counts = others == 0;
        for shelf in self.full {
            back += shelf.held();
            shelf.close().await?;
            // What the next gives back might come before it.
            counts = counts && returned(&self.asking, &self.queue, back, others).await?;
        }
        returned(&self.asking, &self.queue, kept, others).await?;
        Ok(())
    }

    async fn put_away(&mut self) -> Result<(), Why> {
        let Epoch(last) = self.shelf.epoch;
        let next = Shelf::open(
            &self.client.connection,
            &self.queue,
            Epoch(last.wrapping_add(1)),
        );
        let mut full = std::mem::replace(&mut self.shelf, next.await?);
        // Else it would get more for each of its letters that is taken later, and nobody would look.
        full.stop().await?;
        self.full.push(full);
        Ok(())
    }

    /// `None` if others have taken what was left.
    async fn delivery(&mut self) -> Result<Option<Delivery>, Why> {
        for _ in 0..QUIET_MAX {
            if let Ok(delivery) = timeout(QUIET, self.shelf.next()).await {
                return delivery.map(Some);
            }
            if ask(&self.asking, &self.queue).await?.letters == 0 {
                return Ok(None);
            }
        }
        Err(Why::Stalled {
            queue: self.queue.clone(),
        })
    }

    async fn renew(&mut self) -> Result<(), Why> {
        let worn = std::mem::take(&mut self.worn);
        let copies = worn
            .iter()
            .map(|letter| letter.changed(&Changes::default()));
        let renewed = publish_all(&self.renewing, &self.exchange, copies).await;
        renewed.map_err(|why| Why::NotRenewed {
            exchange: self.exchange.clone(),
            why: Box::new(why),
        })?;
        self.acknowledge(worn.iter().map(Letter::ticket).collect())
            .await
    }

    async fn acknowledge(&mut self, tickets: Vec<Ticket>) -> Result<(), Why> {
        for Ticket { epoch, tag } in tickets {
            let full = self.full.iter_mut().rev();
            let mut shelves = std::iter::once(&mut self.shelf).chain(full);
            if let Some(shelf) = shelves.find(|shelf| shelf.epoch == epoch) {
                shelf.acknowledge(tag).await?;
            }
        }
        Ok(())
    }
}

/// Waits until so many letters are in the queue, or, if others were there who may take them, until our consumers are gone; `false` if
/// neither comes.
/// RabbitMQ answers that a channel is closed before its queues have heard of it: until then they count its consumers, even
/// the cancelled ones, and what comes back is missing from the count.
async fn returned(channel: &Channel, queue: &str, letters: u32, others: u32) -> Result<bool, Why> {
    for _ in 0..RETURN_WAITS_MAX {
        let standing = ask(channel, queue).await?;
        let only_others_read = (1..=others).contains(&standing.other_consumers);
        if standing.letters >= letters || only_others_read {
            return Ok(true);
        }
        sleep(RETURN_WAIT).await;
    }
    Ok(false)
}

/// Looks at the queue without touching it.
async fn ask(channel: &Channel, queue: &str) -> Result<Standing, Why> {
    let depth = depth(channel, short(queue)).await.map_err(|error| {
        let why = explain(format!("queue `{queue}`"), error);
        if matches!(why, TopologyError::Missing { .. }) {
            let queue = queue.to_owned();
            Why::NoQueue { queue }
        } else {
            Why::Topology(why)
        }
    })?;
    Ok(Standing {
        letters: depth.ready,
        other_consumers: depth.consumers,
    })
}

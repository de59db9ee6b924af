//! RabbitMQ: connections, topology, consuming, publishing, settling. lapin lives only below this module.
//!
//! Runs as one supervisor task that owns a *session* (a connection to consume and one to publish) and rebuilds it,
//! for ever, with jittered backoff. Decides nothing about jobs.

pub mod client;
mod connection;
mod depth;
pub mod examine;
pub mod frames;
pub mod greeting;
mod intake;
mod merge;
mod nodes;
mod publisher;
mod pulse;
pub mod receipt;
mod runtime;
mod session;
mod settings;
mod supervisor;
mod topology;

use lapin::types::ShortString;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use settings::{Address, Addresses, ClientIdentity, Names, Settings, Tls};
pub use topology::Difference;

use crate::engine::job::{Agent, Epoch, Ticket};
use crate::engine::{Disposition, Published, TellId};
use crate::wire::{Incoming, Outgoing};

/// Something to publish, mandatory, persistent and confirmed.
#[derive(Debug)]
pub enum Publication {
    /// To the results exchange.
    Outcome { tell: TellId, message: Outgoing },
    /// To the dead exchange: the ticket's original body, properties and routing key, plus these headers.
    DeadLetter {
        ticket: Ticket,
        /// The first that failed; `None` if the message was no valid job.
        agent: Option<Agent>,
        headers: Vec<(&'static str, String)>,
    },
}

/// What the worker asks of the broker.
#[derive(Debug)]
pub enum Command {
    /// Void if the epoch is over.
    Publish {
        epoch: Epoch,
        publications: Vec<Publication>,
    },
    /// In order. Void for tickets of an epoch that is over. What is given back goes when the session ends, all of it at
    /// once, so that RabbitMQ puts it back in its order and before anything later.
    Settle {
        settlements: Vec<(Ticket, Disposition)>,
    },
    /// Start or stop consuming; outlives sessions: a new one starts with the last that was said.
    Intake { open: bool },
    /// End this session, so that RabbitMQ gets back what is held, and build the next. Void if the epoch is over.
    LetGo { epoch: Epoch },
    /// Hand on no more deliveries, whatever is said of intake after this, but stay subscribed to the end: RabbitMQ would
    /// give a later job of an agent to the next worker while an earlier one is still under way here.
    Finish,
    /// Flush what was commanded, close, end.
    Close,
}

/// What the broker tells the worker.
#[derive(Debug)]
pub enum Event {
    /// A session stands: topology declared or checked. Publishing works; deliveries follow if intake is open.
    Up {
        epoch: Epoch,
    },
    /// The broker accepted (or ended at our wish) the subscription to the jobs queue.
    Subscribed {
        subscribed: bool,
    },
    Delivered {
        deliveries: Vec<Incoming>,
    },
    /// RabbitMQ sends no more of a jobs queue, as its part of the prefetch, so many jobs, is used up; `None`: it does again. Only
    /// where that is less than [`Settings::prefetch`].
    UsedUp {
        part: Option<usize>,
    },
    Told {
        results: Vec<(TellId, Published)>,
    },
    Buried {
        results: Vec<(Ticket, Published)>,
    },
    /// The session's sign of life, every [`Settings::pulse_every`].
    Pulse(Pulse),
    /// The session is over; another one is being built. All of the epoch's tickets and publishes are void.
    Lost {
        epoch: Epoch,
        why: String,
    },
    /// An attempt to build a session failed; another follows. At start, or after [`Event::Lost`].
    Unreachable {
        why: String,
    },
    /// The topology that stands (or the address) cannot be used, found before the first session stood. The supervisor has ended.
    Unusable {
        why: String,
    },
    /// Closed at our wish. The supervisor has ended.
    Closed,
}

/// How a session stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Always in the same order.
    pub queues: Vec<QueuePulse>,
    /// Dead letters that wait; `None` where RabbitMQ does not say.
    pub dead: Option<u32>,
    /// RabbitMQ takes no publishes for now, and has said so.
    pub blocked: bool,
}

impl Pulse {
    /// Jobs that are delivered to nobody, over all jobs queues.
    pub fn ready(&self) -> u64 {
        self.queues.iter().map(|queue| u64::from(queue.ready)).sum()
    }
}

/// How the consuming of one jobs queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePulse {
    /// Jobs in the queue that are delivered to nobody.
    pub ready: u32,
    /// Consumers that RabbitMQ would deliver to; a standby is none.
    pub consumers: u32,
    /// Jobs that this session has got from the queue so far.
    pub delivered: u64,
    /// Another delivery would be taken: fewer are held than prefetch allows, and no end is near.
    pub room: bool,
}

/// Commands and events that may wait for the other side to take them.
const CHANNEL_CAPACITY: usize = 64;

/// The running broker side. It waits for its events to be taken, so the worker must go on taking them while it waits
/// for room among the commands.
#[derive(Debug)]
pub struct Broker {
    pub commands: mpsc::Sender<Command>,
    pub events: mpsc::Receiver<Event>,
    /// Ends after [`Event::Closed`] or [`Event::Unusable`], or when `commands` is dropped.
    pub task: JoinHandle<()>,
    settings: Settings,
    seed: u64,
}

impl Broker {
    /// Lets go of everything here, whatever it hangs on, and starts anew with intake shut. Commands and events that
    /// were under way are gone, and so are all tickets; `last` is the last epoch that there were any of.
    pub fn rebuild(&mut self, last: Option<Epoch>) {
        self.task.abort();
        let epoch = last.map_or(supervisor::FIRST_EPOCH, |Epoch(last)| {
            Epoch(last.wrapping_add(1))
        });
        // The node that it hung on may be the cause.
        self.settings.addresses.rotate();
        *self = start(self.settings.clone(), self.seed.wrapping_add(1), epoch);
    }
}

/// Starts connecting at once, with intake shut. `seed` feeds the jitter of the waits between attempts.
pub fn spawn(settings: Settings, seed: u64) -> Broker {
    start(settings, seed, supervisor::FIRST_EPOCH)
}

fn start(settings: Settings, seed: u64, epoch: Epoch) -> Broker {
    let (commands, commanded) = mpsc::channel(CHANNEL_CAPACITY);
    let (told, events) = mpsc::channel(CHANNEL_CAPACITY);
    let desk = session::Desk {
        commands: commanded,
        events: told,
        intake_open: false,
        finishing: false,
    };
    let task = tokio::spawn(supervisor::run(settings.clone(), seed, epoch, desk));
    Broker {
        commands,
        events,
        task,
        settings,
        seed,
    }
}

/// The longest start of `text` that AMQP's short string can hold: 255 bytes.
fn short(text: &str) -> ShortString {
    const BYTES_MAX: usize = 255;
    let end = text.floor_char_boundary(BYTES_MAX);
    ShortString::try_new(text.get(..end).unwrap_or_default()).unwrap_or_default()
}

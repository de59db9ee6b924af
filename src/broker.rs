//! RabbitMQ: connections, topology, consuming, publishing, settling. lapin lives only below this module.
//!
//! Runs as one supervisor task that owns a *session* (a connection to consume and one to publish) and rebuilds it,
//! for ever, with jittered backoff. Decides nothing about jobs.

mod settings;

pub use settings::{ClientIdentity, Names, Settings, Tls};

use crate::engine::job::{Epoch, Ticket};
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
    /// In order. Void for tickets of an epoch that is over.
    Settle {
        settlements: Vec<(Ticket, Disposition)>,
    },
    /// Start or stop consuming; outlives sessions: a new one starts with the last that was said.
    Intake { open: bool },
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
    Told {
        results: Vec<(TellId, Published)>,
    },
    Buried {
        results: Vec<(Ticket, Published)>,
    },
    /// The session is over; another one is being built. All of the epoch's tickets and publishes are void.
    Lost {
        epoch: Epoch,
        why: String,
    },
    /// The topology that stands cannot be used, found before the first session stood. The supervisor has ended.
    Unusable {
        why: String,
    },
    /// Closed at our wish. The supervisor has ended.
    Closed,
}

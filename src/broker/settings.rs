//! What the broker side is told of the settings. Plain values: files are already read, names already checked.

use std::fmt;
use std::iter::once;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use secrecy::{SecretSlice, SecretString};

/// Where RabbitMQ is, how to reach it and what stands there (CONTRACT §1, §7).
#[derive(Debug, Clone)]
pub struct Settings {
    pub addresses: Addresses,
    pub tls: Tls,
    pub names: Names,
    /// Whether to declare the topology, or only to check that it stands.
    pub declare: bool,
    /// Most deliveries taken and not yet settled.
    pub prefetch: NonZeroU16,
    /// How often RabbitMQ delivers a job before it dead-letters it by itself.
    pub delivery_limit: NonZeroU32,
    /// What RabbitMQ shows of this connection in its own listings.
    pub connection_name: String,
    /// How often a session tells how it stands; not nothing.
    pub pulse_every: Duration,
}

/// The nodes of one RabbitMQ, tried in turn.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub first: Address,
    pub others: Vec<Address>,
}

impl Addresses {
    /// In the order in which they are tried.
    pub fn all(&self) -> impl Iterator<Item = &Address> {
        once(&self.first).chain(&self.others)
    }

    /// Puts the first behind the others.
    pub(super) fn rotate(&mut self) {
        let turn = self.others.len().min(1);
        self.others.rotate_left(turn);
        if let Some(last) = self.others.last_mut() {
            std::mem::swap(&mut self.first, last);
        }
    }
}

/// Where a node of RabbitMQ is.
#[derive(Debug, Clone)]
pub struct Address {
    /// `amqp://` or `amqps://`, with credentials.
    pub url: SecretString,
    /// `url` without its password, for logs.
    pub shown: String,
}

/// What `amqps://` trusts and shows, as PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// `None`: the certificate authorities of the system.
    pub ca_pem: Option<Vec<u8>>,
    pub client: Option<ClientIdentity>,
}

/// The client certificate and its key, as PEM. Either may hold the key, so neither prints.
#[derive(Clone)]
pub struct ClientIdentity {
    pub cert_pem: Vec<u8>,
    pub key_pem: SecretSlice<u8>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// The AMQP names of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub jobs_exchange: String,
    /// The queue that jobs wait in; where there are several shards, the first of them.
    pub jobs_queue: String,
    /// How many queues the jobs are spread over.
    pub shards: NonZeroU16,
    pub results_exchange: String,
    /// `None`: no catch-all queue.
    pub results_queue: Option<String>,
    pub dead_exchange: String,
    pub dead_queue: String,
}

impl Names {
    pub fn is_sharded(&self) -> bool {
        self.shards > NonZeroU16::MIN
    }

    /// The queues that jobs wait in.
    pub(super) fn jobs_queues(&self) -> impl Iterator<Item = String> {
        let others = (2..=self.shards.get()).map(|number| self.shard(number));
        once(self.jobs_queue.clone()).chain(others)
    }

    /// The name of a shard after the first, counted from 2.
    pub fn shard(&self, number: u16) -> String {
        format!("{}.shard-{number}", self.jobs_queue)
    }

    /// The exchange behind the jobs exchange that spreads jobs over the shards.
    pub fn shards_exchange(&self) -> String {
        format!("{}.shards", self.jobs_exchange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_take_turns_at_being_the_first() {
        let address = |name: &str| Address {
            url: SecretString::from(name),
            shown: name.to_owned(),
        };
        let mut addresses = Addresses {
            first: address("a"),
            others: vec![address("b"), address("c")],
        };
        let order = |addresses: &Addresses| {
            let all = addresses.all();
            all.map(|node| node.shown.clone()).collect::<String>()
        };
        for expected in ["bca", "cab", "abc"] {
            addresses.rotate();
            assert_eq!(order(&addresses), expected);
        }
        addresses.others.clear();
        addresses.rotate();
        assert_eq!(order(&addresses), "a");
    }
}

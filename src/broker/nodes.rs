//! The nodes of one RabbitMQ, and whose turn it is to be tried.

use std::collections::VecDeque;

use lapin::Connection;

use super::Settings;
use super::connection::{BadAddress, ConnectError, Connector};

/// At least one node: the one whose turn it is, and the others in the order of theirs.
pub(super) struct Nodes {
    current: Connector,
    others: VecDeque<Connector>,
}

impl Nodes {
    pub(super) fn new(settings: &Settings) -> Result<Self, BadAddress> {
        let connector = |address| Connector::new(settings, address);
        let others = settings.addresses.others.iter().map(connector);
        Ok(Self {
            current: connector(&settings.addresses.first)?,
            others: others.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn current(&self) -> &Connector {
        &self.current
    }

    pub(super) fn count(&self) -> usize {
        1 + self.others.len()
    }

    pub(super) fn pass_on(&mut self) {
        if let Some(next) = self.others.pop_front() {
            let before = std::mem::replace(&mut self.current, next);
            self.others.push_back(before);
        }
    }

    /// A connection to the first node that gives one; else what the last of them said.
    pub(super) async fn connect(mut self, role: &str) -> Result<Connection, ConnectError> {
        for _ in 1..self.count() {
            if let Ok(connection) = self.current.connect(role).await {
                return Ok(connection);
            }
            self.pass_on();
        }
        self.current.connect(role).await
    }
}

//! What waits for the broker side to take it, gathered while it is busy: the busier it is, the larger the bursts.

use tokio::sync::mpsc::Permit;

use crate::broker::{Command, Publication};
use crate::engine::Disposition;
use crate::engine::job::{Epoch, Ticket};

/// Most publications in one command.
const BURST_MAX: usize = 500;

/// Bounded by what the engine holds: it hands out at most one publication per agent and one settlement per job.
#[derive(Debug)]
pub(super) struct Outbox {
    finish: bool,
    intake: Option<bool>,
    settlements: Vec<(Ticket, Disposition)>,
    publications: Vec<Publication>,
    close: bool,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            finish: false,
            intake: None,
            settlements: Vec::new(),
            publications: Vec::new(),
            close: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.finish
            && self.intake.is_none()
            && self.settlements.is_empty()
            && self.publications.is_empty()
            && !self.close
    }

    /// Nothing more is taken; the first thing to send.
    pub(super) fn finish(&mut self) {
        self.finish = true;
    }

    pub(super) fn intake(&mut self, open: bool) {
        self.intake = Some(open);
    }

    pub(super) fn settle(&mut self, ticket: Ticket, disposition: Disposition) {
        self.settlements.push((ticket, disposition));
    }

    pub(super) fn publish(&mut self, publication: Publication) {
        self.publications.push(publication);
    }

    /// The last thing to send.
    pub(super) fn close(&mut self) {
        self.close = true;
    }

    /// Forgets what was meant for a session that is over.
    pub(super) fn void(&mut self) {
        self.settlements.clear();
        self.publications.clear();
    }

    /// Sends the most urgent command: acknowledgements make room for deliveries, so they go before outcomes.
    pub(super) fn send(&mut self, room: Permit<'_, Command>, epoch: Option<Epoch>) {
        if std::mem::take(&mut self.finish) {
            room.send(Command::Finish);
        } else if let Some(open) = self.intake.take() {
            room.send(Command::Intake { open });
        } else if !self.settlements.is_empty() {
            room.send(Command::Settle {
                settlements: std::mem::take(&mut self.settlements),
            });
        } else if !self.publications.is_empty() {
            let burst = self.publications.len().min(BURST_MAX);
            let publications = self.publications.drain(..burst).collect();
            if let Some(epoch) = epoch {
                room.send(Command::Publish {
                    epoch,
                    publications,
                });
            }
        } else if std::mem::take(&mut self.close) {
            room.send(Command::Close);
        }
    }
}

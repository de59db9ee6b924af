//! What waits for the broker side to take it, gathered while it is busy: the busier it is, the larger the bursts.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::Permit;

use crate::broker::{Command, Publication};
use crate::engine::job::{Epoch, Ticket};
use crate::engine::outcome::Outcome;
use crate::engine::{DeadLetter, Disposition, TellId};
use crate::wire::dead_letter;
use crate::wire::outcome::Encoder;

/// Most publications sent and not yet answered. An outcome takes some 300 bytes while it waits here and several KiB once it is a
/// message on its way; this many keep the broker side busy.
const UNANSWERED_MAX: usize = 512;

/// What is to be published.
#[derive(Debug)]
pub(super) enum Note {
    Tell { tell: TellId, outcome: Arc<Outcome> },
    Bury { ticket: Ticket, letter: DeadLetter },
}

impl Note {
    fn write(self, encoder: &Encoder) -> Publication {
        match self {
            Self::Tell { tell, outcome } => Publication::Outcome {
                tell,
                message: encoder.encode(&outcome),
            },
            Self::Bury { ticket, letter } => Publication::DeadLetter {
                ticket,
                agent: letter.agents.first().copied(),
                headers: dead_letter::headers(&letter),
            },
        }
    }
}

/// Bounded by what the engine holds: it hands out at most one note per agent and one settlement per job.
#[derive(Debug)]
pub(super) struct Outbox {
    encoder: Encoder,
    finish: bool,
    intake: Option<bool>,
    settlements: Vec<(Ticket, Disposition)>,
    notes: VecDeque<Note>,
    unanswered: usize,
    let_go: bool,
    close: bool,
}

impl Outbox {
    pub(super) fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            finish: false,
            intake: None,
            settlements: Vec::new(),
            notes: VecDeque::new(),
            unanswered: 0,
            let_go: false,
            close: false,
        }
    }

    /// Whether [`Outbox::send`] has something to send.
    pub(super) fn is_ready(&self) -> bool {
        self.finish
            || self.intake.is_some()
            || !self.settlements.is_empty()
            || self.burst() > 0
            || self.let_go
            || self.close
    }

    /// How many notes may go now.
    fn burst(&self) -> usize {
        let room = UNANSWERED_MAX.saturating_sub(self.unanswered);
        self.notes.len().min(room)
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

    pub(super) fn publish(&mut self, note: Note) {
        self.notes.push_back(note);
    }

    /// The broker side said what became of so many publications.
    pub(super) fn answered(&mut self, count: usize) {
        self.unanswered = self.unanswered.saturating_sub(count);
    }

    /// The last thing to send to this session.
    pub(super) fn let_go(&mut self) {
        self.let_go = true;
    }

    /// The last thing to send.
    pub(super) fn close(&mut self) {
        self.close = true;
    }

    /// Forgets what was meant for a session that is over, and what that one will not answer any more.
    pub(super) fn void(&mut self) {
        self.settlements.clear();
        self.notes.clear();
        self.unanswered = 0;
        self.let_go = false;
    }

    /// Sends the most urgent command: acknowledgements make room for deliveries, so they go before outcomes.
    pub(super) fn send(&mut self, room: Permit<'_, Command>, epoch: Option<Epoch>) {
        let burst = self.burst();
        if std::mem::take(&mut self.finish) {
            room.send(Command::Finish);
        } else if let Some(open) = self.intake.take() {
            room.send(Command::Intake { open });
        } else if !self.settlements.is_empty() {
            room.send(Command::Settle {
                settlements: std::mem::take(&mut self.settlements),
            });
        } else if burst > 0 {
            let notes = self.notes.drain(..burst);
            let publications = notes.map(|note| note.write(&self.encoder)).collect();
            if let Some(epoch) = epoch {
                self.unanswered += burst;
                room.send(Command::Publish {
                    epoch,
                    publications,
                });
            }
        } else if std::mem::take(&mut self.let_go) {
            if let Some(epoch) = epoch {
                room.send(Command::LetGo { epoch });
            }
        } else if std::mem::take(&mut self.close) {
            room.send(Command::Close);
        }
    }
}

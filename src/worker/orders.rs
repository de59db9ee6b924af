//! Carries out what an operator asks for, and logs who did.

use tracing::info;

use super::Worker;
use crate::admin::{Asked, Order};
use crate::engine::Event;
use crate::telemetry::field;

impl Worker {
    pub(super) fn obey(&mut self, asked: Asked) {
        let Asked {
            order,
            who,
            peer,
            done,
        } = asked;
        let (event, words) = match order {
            Order::Pause => {
                let words = "consuming is paused; what is held goes on".to_owned();
                (Event::Paused { paused: true }, words)
            }
            Order::Resume => {
                let words = "consuming is resumed".to_owned();
                (Event::Paused { paused: false }, words)
            }
            Order::CloseBreaker => {
                let words = match self.parts.engine.snapshot().breaker_open {
                    Some(_) => "the breaker is closed, calls are made again",
                    None => "the breaker was closed already",
                };
                (Event::BreakerClosed, words.to_owned())
            }
            Order::Flush(queue) => {
                let agents = match self.parts.engine.waiting(queue) {
                    1 => "1 agent".to_owned(),
                    count => format!("{count} agents"),
                };
                let words = format!("queue {queue} is flushed: {agents} waited");
                (Event::Flushed { queue }, words)
            }
        };
        info!({ field::WHO } = %who, { field::PEER } = %peer, "{words}, as {who} asked from {peer}");
        self.step(event);
        // Whoever asked may have gone.
        done.send(words).unwrap_or_default();
    }
}

//! Somebody who meddles: pauses, resumes, closes the breaker, flushes PBX queues.

use std::time::Duration;

use clockout::engine::Event;
use clockout::engine::job::PbxQueue;
use fastrand::Rng;

use super::{Occurrence, World};
use crate::faults::up_to;

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Pause,
    Resume,
    CloseBreaker,
    Flush(PbxQueue),
}

impl Order {
    pub(super) fn event(self) -> Event {
        match self {
            Self::Pause => Event::Paused { paused: true },
            Self::Resume => Event::Paused { paused: false },
            Self::CloseBreaker => Event::BreakerClosed,
            Self::Flush(queue) => Event::Flushed { queue },
        }
    }

    /// Whether it ends something that would last for ever without it.
    pub(super) fn is_a_relief(self) -> bool {
        matches!(self, Self::Resume)
    }
}

impl World {
    /// Somebody meddles in every fifth seed, with luck of their own, so that all other seeds keep their meaning; those of
    /// `seeds.txt` are among these.
    pub(super) fn plan_orders(&mut self, seed: u64) {
        const MEDDLED: u64 = 2;
        if seed % 5 != MEDDLED {
            return;
        }
        let mut rng = Rng::with_seed(!seed);
        for _ in 0..rng.u32(1..=8) {
            let at = up_to(&mut rng, self.swarm.safety_phase);
            let order = match rng.u32(0..3) {
                0 => Order::Pause,
                1 => Order::CloseBreaker,
                _ => rng
                    .choice(&self.swarm.queues)
                    .map_or(Order::CloseBreaker, |queue| Order::Flush(*queue)),
            };
            self.after(at, Occurrence::Ordered { order });
            if let Order::Pause = order {
                let resumed = at + up_to(&mut rng, Duration::from_secs(30));
                let order = Order::Resume;
                self.after(resumed, Occurrence::Ordered { order });
            }
        }
    }
}

//! Somebody who meddles: pauses, resumes, closes the breaker, flushes PBX queues, changes settings.

use std::time::Duration;

use clockout::engine::job::PbxQueue;
use clockout::engine::{Event, Tuning};
use fastrand::Rng;

use super::{Occurrence, World};
use crate::faults::up_to;

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Pause,
    Resume,
    CloseBreaker,
    Flush(PbxQueue),
    Tune(Tuning),
}

impl Order {
    pub(super) fn event(self) -> Event {
        match self {
            Self::Pause => Event::Paused { paused: true },
            Self::Resume => Event::Paused { paused: false },
            Self::CloseBreaker => Event::BreakerClosed,
            Self::Flush(queue) => Event::Flushed { queue },
            Self::Tune(tuning) => Event::Tuned(Box::new(tuning)),
        }
    }

    /// Whether it ends something that would last for ever without it.
    pub(super) fn is_a_relief(self) -> bool {
        matches!(self, Self::Resume)
    }
}

impl World {
    /// Nobody hears it while no process lives.
    pub(super) fn order(&mut self, order: Order) {
        if self.process.is_none() {
            return;
        }
        if let Order::Tune(tuning) = order {
            // The next process reads what this one was told.
            self.swarm.settings.tune(tuning);
        }
        self.step(order.event());
    }

    /// Somebody meddles in every fifth seed, with luck of their own, so that all other seeds keep their meaning.
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
        for _ in 0..rng.u32(0..=3) {
            let at = up_to(&mut rng, self.swarm.safety_phase);
            let order = Order::Tune(self.swarm.another_tuning(&mut rng));
            self.after(at, Occurrence::Ordered { order });
        }
    }
}

//! The part of the settings that may change while jobs are held. What waits goes by the new ones at once, what is under way
//! ends by those it left with.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::retry::Schedule;
use super::{Engine, LaneId, RetrySettings, Settings};

/// As in [`Settings`].
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    pub max_in_flight: NonZeroUsize,
    pub max_calls_per_second: Option<NonZeroU32>,
    pub max_agents: NonZeroUsize,
    pub linger: Duration,
    /// Of waits that begin from now on.
    pub retry: RetrySettings,
}

impl Settings {
    pub fn tuning(&self) -> Tuning {
        Tuning {
            max_in_flight: self.max_in_flight,
            max_calls_per_second: self.max_calls_per_second,
            max_agents: self.max_agents,
            linger: self.linger,
            retry: self.retry,
        }
    }

    pub fn tune(&mut self, tuning: Tuning) {
        let Tuning {
            max_in_flight,
            max_calls_per_second,
            max_agents,
            linger,
            retry,
        } = tuning;
        self.max_in_flight = max_in_flight;
        self.max_calls_per_second = max_calls_per_second;
        self.max_agents = max_agents;
        self.linger = linger;
        self.retry = retry;
    }
}

impl Engine {
    pub(super) fn tune(&mut self, now: Duration, tuning: Tuning) {
        self.settings.tune(tuning);
        self.schedule = Schedule::new(&tuning.retry);
        self.pace.limit(tuning.max_calls_per_second);
        let ids: Vec<LaneId> = self.lanes.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.refresh(now, id);
        }
    }
}

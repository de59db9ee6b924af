//! A PBX queue that fails while others are answered may hold only so much of prefetch: the rest is shed, so that the others
//! go on. (The breaker is for a PBX that fails for all.)

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Cause;
use super::lane::Leavers;
use super::{Engine, LaneId, Now};

/// Of prefetch, what a failing PBX queue may hold once prefetch is used up: one in so many.
const SHARE: usize = 8;

/// The lanes of which no call has landed since one failed. Empty while the PBX fails for all: then it is not their fault.
#[derive(Debug, Default)]
pub(super) struct Failing(BTreeMap<LaneId, Streak>);

#[derive(Debug)]
struct Streak {
    since: Duration,
    /// How its latest call failed.
    message: Arc<str>,
}

impl Failing {
    pub(super) fn failed(&mut self, now: Duration, id: LaneId, message: &Arc<str>) {
        let message = Arc::clone(message);
        match self.0.get_mut(&id) {
            Some(streak) => streak.message = message,
            None => {
                self.0.insert(
                    id,
                    Streak {
                        since: now,
                        message,
                    },
                );
            }
        }
    }

    /// One of its calls landed, or the lane is no more.
    pub(super) fn forgive(&mut self, id: LaneId) {
        self.0.remove(&id);
    }

    pub(super) fn forgive_all(&mut self) {
        self.0.clear();
    }

    /// Those that have been failing for so long.
    fn for_as_long_as(&self, time: Duration, now: Duration) -> Vec<LaneId> {
        let long = |streak: &Streak| streak.since.saturating_add(time) <= now;
        let streaks = self.0.iter().filter(|(_, streak)| long(streak));
        streaks.map(|(id, _)| *id).collect()
    }
}

/// Most jobs of a failing PBX queue: a share of prefetch, but never less than a call holds.
fn held_max(prefetch: NonZeroUsize, max_agents: NonZeroUsize) -> usize {
    (prefetch.get() / SHARE).max(max_agents.get())
}

impl Engine {
    /// Ends what failing PBX queues hold too much of, once prefetch is used up and they have failed for as long as a breaker
    /// would wait at most.
    pub(super) fn shed(&mut self, now: Now) {
        if self.pressed != Some(Cause::Prefetch) {
            return;
        }
        let patience = self.settings.breaker.cooldown_max;
        let most = held_max(self.settings.prefetch, self.settings.max_agents);
        for id in self.failing.for_as_long_as(patience, now.elapsed) {
            let (Some(slot), Some(streak)) = (self.lanes.get_mut(id), self.failing.0.get(&id))
            else {
                continue;
            };
            let message = format!(
                "given up: calls for PBX queue {} keep failing ({}) while others are answered, and more of its jobs wait than may",
                slot.lane.queue, streak.message
            );
            let mut leavers = Leavers::default();
            slot.lane
                .shed(now.elapsed, most, &message.into(), &mut leavers);
            self.depart(now, leavers);
            self.refresh(now.elapsed, id);
        }
    }
}

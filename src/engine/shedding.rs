//! A PBX queue that fails while others are answered may hold only so much of prefetch: the rest is shed, so that the others
//! go on. (The breaker is for a PBX that fails for all.)

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use super::batch::Cause;
use super::lane::Leavers;
use super::{Engine, LaneId, Now};

/// Of prefetch, what a failing PBX queue may hold once prefetch is used up: one in so many.
const SHARE: usize = 8;

/// The lanes of which no call has landed since one failed. Empty while the PBX fails for all: then it is not their fault.
#[derive(Debug, Default)]
pub(super) struct Failing {
    streaks: BTreeMap<LaneId, Streak>,
    /// When a call last landed, of any lane.
    landed: Option<Duration>,
}

/// Calls of one lane that failed in a row.
#[derive(Debug)]
struct Streak {
    first: Duration,
    /// The last but one.
    previous: Duration,
    last: Duration,
    calls: u32,
    /// How the last one failed.
    message: Arc<str>,
}

impl Failing {
    pub(super) fn failed(&mut self, now: Duration, id: LaneId, message: &Arc<str>) {
        let streak = self.streaks.entry(id).or_insert_with(|| Streak {
            first: now,
            previous: now,
            last: now,
            calls: 0,
            message: Arc::clone(message),
        });
        streak.previous = streak.last;
        streak.last = now;
        streak.calls += 1;
        streak.message = Arc::clone(message);
    }

    pub(super) fn landed(&mut self, now: Duration, id: LaneId) {
        self.landed = Some(now);
        self.forget(id);
    }

    /// The lane is no more.
    pub(super) fn forget(&mut self, id: LaneId) {
        self.streaks.remove(&id);
    }

    pub(super) fn forgive_all(&mut self) {
        self.streaks.clear();
    }

    /// The lanes that fail on their own: so many calls in a row over so long a time, with others answered to the end.
    fn on_their_own(&self, calls: NonZeroU32, time: Duration) -> Vec<LaneId> {
        let on_its_own = |streak: &Streak| {
            streak.calls >= calls.get()
                && streak.last.saturating_sub(streak.first) >= time
                && self.landed.is_some_and(|landed| landed >= streak.previous)
        };
        let streaks = self.streaks.iter().filter(|(_, streak)| on_its_own(streak));
        streaks.map(|(id, _)| *id).collect()
    }
}

/// Most jobs of a failing PBX queue: a share of prefetch, but never less than a call holds.
fn held_max(prefetch: usize, max_agents: NonZeroUsize) -> usize {
    (prefetch / SHARE).max(max_agents.get())
}

impl Engine {
    /// Ends what failing PBX queues hold too much of, once prefetch is used up.
    pub(super) fn shed(&mut self, now: Now) {
        if self.pressed != Some(Cause::Prefetch) || self.failing.streaks.is_empty() {
            return;
        }
        let breaker = self.settings.breaker;
        let all = self.settings.prefetch.get();
        let most = held_max(self.part_used_up.unwrap_or(all), self.settings.max_agents);
        for id in self
            .failing
            .on_their_own(breaker.failures, breaker.cooldown_max)
        {
            let slot = self.lanes.get_mut(id);
            let (Some(slot), Some(streak)) = (slot, self.failing.streaks.get(&id)) else {
                continue;
            };
            let mut leavers = Leavers::default();
            slot.lane
                .shed(now.elapsed, most, &streak.message, &mut leavers);
            self.depart(now, leavers);
            self.refresh(now.elapsed, id);
        }
    }
}

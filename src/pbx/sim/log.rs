//! What the simulated PBX was asked, in order, and how many calls were under way at once.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::call::{Call, Verb};
use crate::engine::job::PbxQueue;

/// Most calls remembered; beyond that the oldest go, and are counted.
const CALLS_MAX: usize = 100_000;

/// One call as it came and as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedCall {
    /// From 1, in the order of arrival.
    pub seq: u64,
    /// Arrival, in milliseconds since the start.
    pub at_ms: u64,
    /// End, likewise; `null` while it is under way.
    pub ended_ms: Option<u64>,
    pub action: Verb,
    /// One, if the caller keeps to one queue per call.
    pub queues: Vec<String>,
    pub agents: Vec<String>,
    /// `null` without an answer: under way, hanging, dropped or given up by the caller.
    pub status: Option<u16>,
}

/// Calls under way and calls made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    pub calls: u64,
    pub agents: u64,
    pub in_flight: u64,
    /// The highest `in_flight` so far.
    pub max_in_flight: u64,
}

impl Load {
    fn begin(&mut self, agents: usize) {
        self.calls += 1;
        self.agents += agents as u64;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
    }

    fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// Over all, and per PBX queue. A call that names several queues counts for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub total: Load,
    pub queues: BTreeMap<String, Load>,
}

/// The calls, and the loads they made.
#[derive(Debug, Default)]
pub(super) struct Log {
    calls: VecDeque<LoggedCall>,
    dropped: u64,
    total: Load,
    queues: BTreeMap<PbxQueue, Load>,
}

impl Log {
    /// Answers the call's number, with which it is to be ended.
    pub(super) fn begin(&mut self, at_ms: u64, call: &Call) -> u64 {
        let queues = call.queues();
        self.total.begin(call.items.len());
        for queue in &queues {
            let named = call.items.iter().filter(|(named, _)| named == queue);
            self.queues.entry(*queue).or_default().begin(named.count());
        }
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
            self.dropped += 1;
        }
        let agents = call.items.iter().map(|(_, agent)| agent.to_string());
        self.calls.push_back(LoggedCall {
            seq: self.total.calls,
            at_ms,
            ended_ms: None,
            action: call.verb,
            queues: queues.iter().map(ToString::to_string).collect(),
            agents: agents.collect(),
            status: None,
        });
        self.total.calls
    }

    /// `status` as in [`LoggedCall`].
    pub(super) fn end(&mut self, at_ms: u64, seq: u64, call: &Call, status: Option<u16>) {
        self.total.end();
        for queue in call.queues() {
            self.queues.entry(queue).or_default().end();
        }
        let index = self.calls.binary_search_by_key(&seq, |call| call.seq);
        // A call may be forgotten before it ends.
        if let Some(call) = index.ok().and_then(|index| self.calls.get_mut(index)) {
            call.ended_ms = Some(at_ms);
            call.status = status;
        }
    }

    /// How many calls are no longer remembered.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Those after number `since`, oldest first.
    pub(super) fn calls(&self, since: u64) -> impl Iterator<Item = &LoggedCall> {
        let first = self.calls.partition_point(|call| call.seq <= since);
        self.calls.range(first..)
    }

    /// Forgets the calls; numbers and loads go on.
    pub(super) fn clear(&mut self) {
        self.dropped += self.calls.len() as u64;
        self.calls.clear();
    }

    pub(super) fn stats(&self) -> Stats {
        let queues = self.queues.iter();
        Stats {
            total: self.total,
            queues: queues
                .map(|(queue, load)| (queue.to_string(), *load))
                .collect(),
        }
    }
}

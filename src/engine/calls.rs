//! Calls leave, and come back: who goes next, and what follows for each agent.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::batch::{Batch, BatchId};
use super::bounded::Map;
use super::breaker::{Failure, Meets, Permit};
use super::job::{Agent, PbxQueue};
use super::lane::{Due, Fate, Flight, Leavers, Next, Unplaced};
use super::outcome::BatchRef;
use super::verdict::{Answer, CallResult, ItemAnswer, Report, Verdict, judge};
use super::{CallId, Effect, Engine, LaneId, Now};

impl Engine {
    /// Lets batches leave, lane by lane, while there are slots and the breaker and the pace permit.
    pub(super) fn dispatch(&mut self, now: Now) {
        if self.outage.is_letting_go() {
            return;
        }
        while self.in_flight.len() < self.settings.max_in_flight.get()
            && self.pace.not_before() <= now.elapsed
        {
            let (next, probe) = match self.breaker.permit() {
                Permit::Call => (self.turn.pop_front(), false),
                Permit::Probe => (self.next_to_probe(), true),
                Permit::Nothing => return,
            };
            let Some(id) = next else {
                if probe {
                    self.ask();
                }
                return;
            };
            self.call(now, id, probe);
        }
    }

    /// The PBX queue after the one that was probed last, of those that have something to call with.
    fn next_to_probe(&self) -> Option<LaneId> {
        let able = |id: &LaneId| {
            let slot = self.lanes.get(*id);
            slot.is_some_and(|slot| slot.lane.flight.is_none() && slot.lane.waiting() > 0)
        };
        let ids = || self.lanes.iter().map(|(id, _)| id);
        let after = ids().filter(|id| *id > self.last_probed).find(able);
        after.or_else(|| ids().find(able))
    }

    fn call(&mut self, now: Now, id: LaneId, probe: bool) {
        let mut rules = self.rules();
        let Some(slot) = self.lanes.get_mut(id) else {
            return;
        };
        if !probe {
            slot.queued = false;
            rules.pressed = rules.pressed.or(slot.pressed.take());
        }
        let due =
            slot.lane.flight.is_none() && (probe || slot.lane.due(now.elapsed, &rules) == Due::Now);
        let mut leavers = Leavers::default();
        if due && let Some(load) = slot.lane.load(now, &rules, probe, &mut leavers) {
            let mut agents = load.agents.into_iter();
            if let Some(first) = agents.next() {
                let call = BatchId(self.next_call);
                self.next_call += 1;
                let lane = (slot.lane.queue, load.action);
                let batch = Batch::new(call, lane, load.cause, first, agents.collect());
                let waited = now.elapsed.saturating_sub(load.since);
                let batch = Arc::new(batch.after(load.calls_before + 1, waited));
                slot.lane.flight = Some(Flight {
                    batch: Arc::clone(&batch),
                    probe,
                    split: load.split,
                });
                self.in_flight.insert(call, id);
                self.pace.called(now.elapsed);
                if probe {
                    self.last_probed = id;
                    self.breaker.probe_left(call);
                }
                self.effects.push(Effect::Call { call, batch });
            }
        }
        self.depart(now, leavers);
        self.refresh(now.elapsed, id);
    }

    pub(super) fn call_done(&mut self, now: Now, call: CallId, result: &CallResult) {
        let Some(id) = self.in_flight.remove(&call) else {
            return;
        };
        let Some(flight) = self
            .lanes
            .get_mut(id)
            .and_then(|slot| slot.lane.flight.take())
        else {
            return;
        };
        self.tell_breaker(now.elapsed, call, result);
        self.note_streak(now.elapsed, id, result);
        let (left_over, leavers) = self.judge_all(now, id, &flight, result);
        self.place(now.elapsed, id, (&flight, result), &left_over);
        self.depart(now, leavers);
        self.refresh(now.elapsed, id);
    }

    fn tell_breaker(&mut self, now: Duration, call: CallId, result: &CallResult) {
        let (meets, message, retry_after) = match result {
            CallResult::Answered(_) | CallResult::Refused { .. } => {
                self.breaker.landed(call);
                return;
            }
            CallResult::Transient {
                message,
                retry_after,
            } => (Meets::This, message, *retry_after),
            CallResult::Ambiguous { message } => (Meets::This, message, None),
            CallResult::Fault {
                message,
                retry_after,
            } => (Meets::All, message, *retry_after),
        };
        self.breaker.failed(
            now,
            call,
            &Failure {
                meets,
                message,
                retry_after,
            },
        );
        self.pace.hold(now, retry_after.unwrap_or_default());
    }

    /// Notes whether the lane fails on its own: not while the PBX fails for all.
    fn note_streak(&mut self, now: Duration, id: LaneId, result: &CallResult) {
        match result {
            _ if !self.breaker.is_closed() => self.failing.forgive_all(),
            CallResult::Answered(_) | CallResult::Refused { .. } => self.failing.landed(now, id),
            CallResult::Transient { message, .. }
            | CallResult::Ambiguous { message }
            | CallResult::Fault { message, .. } => self.failing.failed(now, id, message),
        }
    }

    /// Decides every job of every agent of the call. Returns the agents that are not done with.
    fn judge_all(
        &mut self,
        now: Now,
        id: LaneId,
        flight: &Flight,
        result: &CallResult,
    ) -> (Vec<Unplaced>, Leavers) {
        let batch = &flight.batch;
        let counted = match result {
            CallResult::Refused { .. } | CallResult::Fault { .. } => false,
            CallResult::Answered(_)
            | CallResult::Transient { .. }
            | CallResult::Ambiguous { .. } => !flight.probe && !flight.split,
        };
        let reports = Reports::of(batch, result);
        let attempts_max = self.settings.retry.attempts_max;
        let mut leavers = Leavers::with_room_for(batch.size());
        let mut left_over = Vec::new();
        let Some(slot) = self.lanes.get_mut(id) else {
            return (left_over, leavers);
        };
        for agent in batch.agents() {
            let report = reports.report(agent);
            let unplaced = slot.lane.finish(
                now.elapsed,
                agent,
                |waiter| {
                    let progress = &mut waiter.progress;
                    progress.calls += 1;
                    progress.counted += u32::from(counted);
                    progress.batch = Some(BatchRef {
                        id: batch.id,
                        size: batch.size(),
                    });
                    match report
                        .as_ref()
                        .map(|r| judge(batch.action, r, progress, attempts_max))
                    {
                        Some(Verdict::End { code, message }) => Fate::End { code, message },
                        Some(Verdict::Again) | None => Fate::Again,
                    }
                },
                &mut leavers,
            );
            left_over.extend(unplaced);
        }
        (left_over, leavers)
    }

    /// Says where what is left over of a call waits, and how large the lane's next batch may be.
    fn place(
        &mut self,
        now: Duration,
        id: LaneId,
        (flight, result): (&Flight, &CallResult),
        left_over: &[Unplaced],
    ) {
        let jitter = self.rng.f64();
        let Some(slot) = self.lanes.get_mut(id) else {
            return;
        };
        let retry_at = |attempt: u32| now.saturating_add(self.schedule.after(attempt, jitter));
        let landed = matches!(result, CallResult::Answered(_) | CallResult::Refused { .. });
        for unplaced in left_over {
            let next = match result {
                CallResult::Refused { .. } => Next::Split,
                CallResult::Fault { .. } => Next::AtOnce,
                CallResult::Answered(_)
                | CallResult::Transient { .. }
                | CallResult::Ambiguous { .. } => Next::At(retry_at(unplaced.counted.max(1))),
            };
            if flight.probe && !landed {
                slot.lane.step_back(unplaced);
            }
            slot.lane.put(unplaced, next);
        }
        match result {
            CallResult::Answered(_) => slot.lane.grow(self.settings.max_agents),
            CallResult::Refused { .. } => {
                slot.lane.split(flight.batch.action, left_over);
                slot.lane.grow(self.settings.max_agents);
            }
            CallResult::Transient { .. }
            | CallResult::Ambiguous { .. }
            | CallResult::Fault { .. } => {
                if flight.split {
                    slot.lane.dissolve(retry_at(1));
                }
                if flight.probe {
                    slot.lane.halve(flight.batch.size());
                }
            }
        }
    }
}

/// What a call said, agent by agent.
enum Reports {
    /// The same for all. `None`: nothing of the agents; the call as a whole is at issue.
    Same(Option<Report>),
    Each(Map<Agent, Report>),
}

impl Reports {
    fn of(batch: &Batch, result: &CallResult) -> Self {
        match result {
            CallResult::Answered(items) => Self::Each(by_agent(batch.queue, items)),
            CallResult::Refused { message } if batch.size() == 1 => {
                Self::Same(Some(Report::RefusedAlone {
                    message: Arc::clone(message),
                }))
            }
            CallResult::Refused { .. } | CallResult::Fault { .. } => Self::Same(None),
            CallResult::Transient { message, .. } => Self::Same(Some(Report::Transient {
                message: Arc::clone(message),
            })),
            CallResult::Ambiguous { message } => Self::Same(Some(Report::Ambiguous {
                message: Arc::clone(message),
            })),
        }
    }

    fn report(&self, agent: Agent) -> Option<Report> {
        match self {
            Self::Same(report) => report.clone(),
            Self::Each(reports) => Some(reports.get(&agent).cloned().unwrap_or(Report::Unreported)),
        }
    }
}

/// Items by agent, matched by (queue, agent) and never by position. Where one agent is named twice, what is not done counts.
fn by_agent(queue: PbxQueue, items: &[ItemAnswer]) -> Map<Agent, Report> {
    let mut reports = Map::with_capacity_and_hasher(items.len(), FixedState::default());
    for item in items.iter().filter(|item| item.queue == queue) {
        let report = Report::Item {
            answer: item.answer,
            message: item.message.clone(),
        };
        if item.answer == Answer::Done {
            reports.entry(item.agent).or_insert(report);
        } else {
            reports.insert(item.agent, report);
        }
    }
    reports
}

//! Calls: who may be called, when, in what company, and what a call's end says of each agent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::{Batch, Cause};
use clockout::engine::job::{Action, Agent, OutcomeId, PbxQueue};
use clockout::engine::outcome::BatchRef;
use clockout::engine::verdict::{Answer, CallResult};
use clockout::engine::{CallId, Now, Settings, Snapshot};

use super::obligation::{Attempt, Obligation, Seen, attempts_max, is_free};

type Obligations = BTreeMap<OutcomeId, Obligation>;

#[derive(Debug, Default)]
pub(super) struct Calls {
    in_flight: BTreeMap<CallId, Call>,
    last: Option<CallId>,
    /// When the calls of the last second started.
    recent: Vec<Duration>,
    /// A `Retry-After` holds back every call until then.
    held_back_until: Duration,
    failures_in_a_row: u32,
    /// What the engine said of its breaker after the last step.
    open: bool,
    /// What the events and effects of this step mean for the breaker.
    step: Step,
}

#[derive(Debug, Default)]
struct Step {
    /// A probe came back with an answer.
    landed: bool,
    /// The breaker has to open.
    opens: bool,
    /// A call left that is no probe.
    called: bool,
}

#[derive(Debug)]
struct Call {
    batch: Arc<Batch>,
    /// Whom the call serves; and whether for certain.
    riders: Vec<(OutcomeId, bool)>,
    /// The earlier pauses that it replaces.
    replaced: Vec<OutcomeId>,
}

impl Calls {
    /// A call leaves.
    pub(super) fn start(
        &mut self,
        now: Now,
        id: CallId,
        batch: &Arc<Batch>,
        obligations: &mut Obligations,
        settings: &Settings,
    ) {
        assert!(self.last.replace(id) < Some(id), "{id:?} used twice");
        let lane = |call: &Call| call.batch.queue == batch.queue;
        assert!(
            !self.in_flight.values().any(lane),
            "two calls at once for queue {}",
            batch.queue
        );
        assert!(
            self.in_flight.len() < settings.max_in_flight.get(),
            "too many calls at once"
        );
        assert!(
            now.elapsed >= self.held_back_until,
            "a call before the end of a Retry-After"
        );
        self.check_rate(now, settings);
        let agents: BTreeSet<Agent> = batch.agents().collect();
        assert_eq!(
            agents.len(),
            batch.agents().count(),
            "an agent twice in {batch:?}"
        );
        assert!(
            agents.len() <= settings.max_agents.get(),
            "too many agents in {batch:?}"
        );
        assert!(
            !(self.open && self.probes_in_flight() > 0),
            "two probes at once"
        );
        self.step.called |= batch.cause != Cause::Probe;

        let newest = obligations.values().map(|o| o.arrival).max();
        let mut call = Call {
            batch: Arc::clone(batch),
            riders: vec![],
            replaced: vec![],
        };
        for agent in agents {
            let place = Place {
                queue: batch.queue,
                agent,
                now,
            };
            let riders = place.riders(batch.action, obligations, settings);
            assert!(
                !riders.is_empty(),
                "{batch:?} calls {agent}, and nobody may ask for it now:{}",
                place
                    .all(obligations)
                    .map(|o| format!("\n  {o}"))
                    .collect::<String>()
            );
            if batch.action == Action::Remove {
                call.replaced.extend(
                    place
                        .asking(Action::Pause, obligations, settings)
                        .map(|(id, _)| id)
                        .filter(|id| {
                            riders
                                .iter()
                                .any(|(r, _)| arrival(obligations, r) > arrival(obligations, id))
                        }),
                );
            }
            for (id, _) in &riders {
                let Some(rider) = obligations.get_mut(id) else {
                    continue;
                };
                let spent = rider.counted(true) >= attempts_max(settings);
                assert!(
                    is_free(batch.cause) || !spent,
                    "one attempt too many: {rider}"
                );
                rider.first_called = rider.first_called.or(newest);
            }
            call.riders.extend(riders);
        }
        self.in_flight.insert(id, call);
    }

    fn probes_in_flight(&self) -> usize {
        self.in_flight
            .values()
            .filter(|call| call.batch.cause == Cause::Probe)
            .count()
    }

    fn check_rate(&mut self, now: Now, settings: &Settings) {
        self.recent
            .retain(|&start| start + Duration::from_secs(1) > now.elapsed);
        self.recent.push(now.elapsed);
        if let Some(limit) = settings.max_calls_per_second {
            assert!(
                self.recent.len() <= limit.get() as usize,
                "too many calls in a second"
            );
        }
    }

    /// A call ended: writes down what it said of each whom it served.
    pub(super) fn done(
        &mut self,
        now: Now,
        id: CallId,
        result: &CallResult,
        obligations: &mut Obligations,
        settings: &Settings,
    ) {
        let Some(call) = self.in_flight.remove(&id) else {
            return;
        };
        self.take_note_of_health(now, &call, result, settings);
        let mut absent = BTreeSet::new();
        for (id, certain) in &call.riders {
            let Some(rider) = obligations.get_mut(id) else {
                continue;
            };
            let (seen, message) = call.said_of(rider.agent, result);
            if is_last_word(seen) && *certain {
                rider.ended.get_or_insert(now.elapsed);
            }
            if let Seen::Item(Answer::Done | Answer::Absent) = seen {
                absent.insert(rider.agent);
            }
            rider.attempts.push(Attempt {
                batch: BatchRef {
                    id: call.batch.id,
                    size: call.batch.size(),
                },
                cause: call.batch.cause,
                seen,
                message,
                certain: *certain,
            });
        }
        for id in &call.replaced {
            if let Some(pause) = obligations
                .get_mut(id)
                .filter(|o| absent.contains(&o.agent))
            {
                pause.ended.get_or_insert(now.elapsed);
            }
        }
    }

    /// What is under way is nobody's business any more.
    pub(super) fn abandon(&mut self) {
        self.in_flight.clear();
    }

    fn take_note_of_health(
        &mut self,
        now: Now,
        call: &Call,
        result: &CallResult,
        settings: &Settings,
    ) {
        match result {
            CallResult::Answered(_) | CallResult::Refused { .. } => {
                self.failures_in_a_row = 0;
                self.step.landed = call.batch.cause == Cause::Probe;
            }
            CallResult::Transient { .. } | CallResult::Ambiguous { .. } => {
                self.failures_in_a_row += 1;
                self.step.opens = self.failures_in_a_row >= settings.breaker.failures.get();
            }
            CallResult::Fault { .. } => self.step.opens = true,
        }
        if let CallResult::Transient { retry_after, .. } | CallResult::Fault { retry_after, .. } =
            result
        {
            let until = now.elapsed + retry_after.unwrap_or_default();
            self.held_back_until = self.held_back_until.max(until);
        }
    }

    /// The breaker opens when it must, closes only for a probe that landed, and lets nothing else through meanwhile.
    pub(super) fn check_breaker(&mut self, snapshot: &Snapshot, settings: &Settings) {
        let open = snapshot.breaker_open.is_some();
        let step = std::mem::take(&mut self.step);
        assert_eq!(
            snapshot.calls_in_flight,
            self.in_flight.len(),
            "calls in flight"
        );
        if self.open {
            assert!(
                open || step.landed,
                "the breaker closed though no probe landed"
            );
            assert!(
                !(open && step.called),
                "a call that is no probe, while the breaker is open"
            );
        } else {
            assert_eq!(
                open, step.opens,
                "{} failures of {} in a row",
                self.failures_in_a_row, settings.breaker.failures
            );
        }
        if self.open && !open {
            self.failures_in_a_row = 0;
        }
        self.open = open;
    }

    /// Where nothing stands in the way of a call, no job waits longer than `batch.linger`.
    pub(super) fn check_linger(&self, now: Now, obligations: &Obligations, settings: &Settings) {
        let held_back =
            now.elapsed < self.held_back_until || settings.max_calls_per_second.is_some();
        if self.open || held_back || self.in_flight.len() >= settings.max_in_flight.get() {
            return;
        }
        let busy: BTreeSet<PbxQueue> = self
            .in_flight
            .values()
            .map(|call| call.batch.queue)
            .collect();
        for waiting in obligations
            .values()
            .filter(|o| o.asks(now, settings) && o.attempts.is_empty())
        {
            let place = Place {
                queue: waiting.job.queue,
                agent: waiting.agent,
                now,
            };
            let alone = place
                .all(obligations)
                .filter(|o| o.asks(now, settings))
                .count()
                == 1;
            let lingered = now.elapsed >= waiting.delivered + settings.linger;
            assert!(
                busy.contains(&place.queue) || !alone || !lingered,
                "waits longer than linger though nothing stands in its way: {waiting}"
            );
        }
    }
}

impl Call {
    fn said_of(&self, agent: Agent, result: &CallResult) -> (Seen, Option<Arc<str>>) {
        match result {
            CallResult::Answered(items) => items
                .iter()
                .find(|item| (item.queue, item.agent) == (self.batch.queue, agent))
                .map_or((Seen::Unreported, None), |item| {
                    (Seen::Item(item.answer), item.message.clone())
                }),
            CallResult::Refused { message } if self.batch.size() == 1 => {
                (Seen::RefusedAlone, Some(Arc::clone(message)))
            }
            CallResult::Refused { message } => (Seen::RefusedInCompany, Some(Arc::clone(message))),
            CallResult::Transient { message, .. } => (Seen::Transient, Some(Arc::clone(message))),
            CallResult::Ambiguous { message } => (Seen::Ambiguous, Some(Arc::clone(message))),
            CallResult::Fault { message, .. } => (Seen::Fault, Some(Arc::clone(message))),
        }
    }
}

/// What leaves nothing more to do.
fn is_last_word(seen: Seen) -> bool {
    match seen {
        Seen::Item(answer) => !matches!(answer, Answer::Busy | Answer::Refused),
        Seen::RefusedAlone => true,
        Seen::Unreported
        | Seen::RefusedInCompany
        | Seen::Transient
        | Seen::Ambiguous
        | Seen::Fault => false,
    }
}

fn arrival(obligations: &Obligations, id: &OutcomeId) -> Option<u64> {
    obligations.get(id).map(|o| o.arrival)
}

/// One agent on one PBX queue: the unit of order.
struct Place {
    queue: PbxQueue,
    agent: Agent,
    now: Now,
}

impl Place {
    fn all<'o>(&self, obligations: &'o Obligations) -> impl Iterator<Item = &'o Obligation> {
        let here = (self.queue, self.agent);
        obligations
            .values()
            .filter(move |o| (o.job.queue, o.agent) == here)
    }

    fn asking<'o>(
        &self,
        action: Action,
        obligations: &'o Obligations,
        settings: &'o Settings,
    ) -> impl Iterator<Item = (OutcomeId, &'o Obligation)> {
        let (here, now) = ((self.queue, self.agent, action), self.now);
        obligations
            .iter()
            .filter(move |(_, o)| {
                (o.job.queue, o.agent, o.job.action) == here && o.asks(now, settings)
            })
            .map(|(id, o)| (*id, o))
    }

    /// Whom a call of `action` serves, in the order of CONTRACT §4: a remove replaces the pauses before it; a pause waits
    /// for the removes before it, and yields to one after it unless it was on its way by then: called before, or replaced
    /// by an earlier remove that has failed since. Then the remove may also have replaced it: it rides, but not for certain.
    fn riders(
        &self,
        action: Action,
        obligations: &Obligations,
        settings: &Settings,
    ) -> Vec<(OutcomeId, bool)> {
        let removes: Vec<u64> = self
            .asking(Action::Remove, obligations, settings)
            .map(|(_, o)| o.arrival)
            .collect();
        let failed: Vec<u64> = self
            .all(obligations)
            .filter(|o| o.is_failed_remove())
            .map(|o| o.arrival)
            .collect();
        let is_on_its_way = |pause: &Obligation, by: u64| {
            let called = pause.first_called.is_some_and(|called| called < by);
            called
                || failed
                    .iter()
                    .any(|&failed| pause.arrival < failed && failed < by)
        };
        let may_ride = |o: &Obligation| match action {
            Action::Remove => true,
            Action::Pause => removes
                .iter()
                .all(|&by| o.arrival < by && is_on_its_way(o, by)),
        };
        let certain = action == Action::Remove || removes.is_empty();
        let asking = self.asking(action, obligations, settings);
        asking
            .filter(|(_, o)| may_ride(o))
            .map(|(id, _)| (id, certain))
            .collect()
    }
}

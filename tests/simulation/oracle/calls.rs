//! Calls: who may be called, in what company, how many at once; and what a call's end says of each agent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::{Batch, Cause};
use clockout::engine::job::{Agent, OutcomeId, PbxQueue};
use clockout::engine::outcome::BatchRef;
use clockout::engine::verdict::{Answer, CallResult};
use clockout::engine::{CallId, Settings, Snapshot};

use super::health::Health;
use super::obligation::{Attempt, Seen, attempts_max, is_free};
use super::place::{Place, Rider};
use super::{Moment, Obligations};

#[derive(Debug, Default)]
pub(super) struct Calls {
    in_flight: BTreeMap<CallId, Call>,
    last: Option<CallId>,
    health: Health,
}

#[derive(Debug)]
struct Call {
    batch: Arc<Batch>,
    /// Whether the breaker waits for it; not since somebody closed that.
    is_awaited: bool,
    riders: Vec<Rider>,
    /// The earlier pauses that it replaces.
    replaced: Vec<OutcomeId>,
}

impl Calls {
    /// A call leaves.
    pub(super) fn start(
        &mut self,
        moment: Moment<'_>,
        id: CallId,
        batch: &Arc<Batch>,
        obligations: &mut Obligations,
    ) {
        assert!(self.last.replace(id) < Some(id), "{id:?} used twice");
        self.check_limits(batch, moment.settings);
        self.health.check_call(moment, batch);
        let mut call = Call {
            batch: Arc::clone(batch),
            is_awaited: batch.cause == Cause::Probe,
            riders: Vec::new(),
            replaced: Vec::new(),
        };
        for agent in batch.agents() {
            let place = Place {
                queue: batch.queue,
                agent,
                moment,
            };
            let riders = place.riders(batch.action, obligations);
            assert!(
                !riders.is_empty(),
                "{batch:?} calls {agent}, and nobody may ask for it now:{}",
                listed(place, obligations)
            );
            call.replaced
                .extend(place.replaced(batch.action, obligations));
            call.riders.extend(riders);
        }
        call.board(obligations, moment.settings);
        self.in_flight.insert(id, call);
    }

    fn check_limits(&self, batch: &Batch, settings: &Settings) {
        let same_lane = |call: &Call| call.batch.queue == batch.queue;
        let busy = self.in_flight.values().any(same_lane);
        assert!(!busy, "two calls at once for queue {}", batch.queue);
        let in_flight = self.in_flight.len();
        assert!(
            in_flight < settings.max_in_flight.get(),
            "too many calls at once"
        );
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
            !(self.health.open && self.is_probing()),
            "a call beside a probe"
        );
    }

    fn is_probing(&self) -> bool {
        self.in_flight.values().any(|call| call.is_awaited)
    }

    /// A call ended: writes down what it said of each whom it served.
    pub(super) fn done(
        &mut self,
        moment: Moment<'_>,
        id: CallId,
        result: &CallResult,
        obligations: &mut Obligations,
    ) {
        let Some(call) = self.in_flight.remove(&id) else {
            return;
        };
        let queue = call.batch.queue;
        self.health
            .take_note(moment, queue, call.is_awaited, result);
        let now = moment.now.elapsed;
        let batch = BatchRef {
            id: call.batch.id,
            size: call.batch.size(),
        };
        let cause = call.batch.cause;
        for &Rider { id, certain } in &call.riders {
            let Some(rider) = obligations.get_mut(&id) else {
                continue;
            };
            let (seen, message) = call.said_of(rider.agent, result);
            if certain && is_last_word(seen) {
                rider.ended.get_or_insert(now);
            }
            rider.attempts.push(Attempt {
                batch,
                cause,
                seen,
                message,
                ended: moment.now.wall,
                certain,
            });
        }
        for id in &call.replaced {
            let Some(pause) = obligations.get_mut(id) else {
                continue;
            };
            let (seen, _) = call.said_of(pause.agent, result);
            if matches!(seen, Seen::Item(Answer::Done | Answer::Absent)) {
                pause.ended.get_or_insert(now);
            }
        }
    }

    /// What is under way is nobody's business any more.
    pub(super) fn abandon(&mut self) {
        self.in_flight.clear();
    }

    pub(super) fn check_breaker(&mut self, snapshot: &Snapshot, settings: &Settings) {
        assert_eq!(
            snapshot.calls_in_flight,
            self.in_flight.len(),
            "calls in flight"
        );
        self.health.check_breaker(snapshot, settings);
    }

    /// How many jobs of agents of this queue are under call and were lost with their session: they count until the call ends.
    pub(super) fn orphans(&self, queue: PbxQueue, obligations: &Obligations) -> usize {
        let here = self
            .in_flight
            .values()
            .filter(|call| call.batch.queue == queue);
        let ids = here.flat_map(|call| {
            call.riders
                .iter()
                .map(|rider| rider.id)
                .chain(call.replaced.iter().copied())
        });
        let riders = ids.filter_map(|id| obligations.get(&id));
        riders
            .filter(|o| o.tickets.is_empty() && o.ended.is_none())
            .count()
    }

    pub(super) fn fails_alone(&self, moment: Moment<'_>, queue: PbxQueue) -> bool {
        self.health.fails_alone(moment, queue)
    }

    /// The PBX is asked by a call about nobody.
    pub(super) fn ask(&mut self, moment: Moment<'_>) {
        assert!(!self.is_probing(), "asks beside a probe");
        self.health.check_ask(moment);
    }

    pub(super) fn asked(&mut self, away: bool) {
        self.health.asked(away);
    }

    pub(super) fn session_ended(&mut self) {
        self.health.session_ended();
    }

    /// What is held goes back; `oldest`: since when the first of it is held.
    pub(super) fn let_go(&mut self, moment: Moment<'_>, oldest: Option<Duration>) {
        self.health.check_let_go(moment, oldest);
    }

    /// Somebody closed the breaker.
    pub(super) fn breaker_closed(&mut self) {
        self.health.closed();
        for call in self.in_flight.values_mut() {
            call.is_awaited = false;
        }
    }

    /// After a flush nothing waits for its PBX queue that could leave.
    pub(super) fn check_flushed(
        &self,
        moment: Moment<'_>,
        queue: PbxQueue,
        obligations: &Obligations,
    ) {
        let busy = |call: &Call| call.batch.queue == queue;
        let full = self.in_flight.len() >= moment.settings.max_in_flight.get();
        if full || self.in_flight.values().any(busy) || !self.health.permits(moment) {
            return;
        }
        let mut here = obligations.values().filter(|o| o.job.queue == queue);
        if let Some(waiting) = here.find(|o| o.asks(moment)) {
            panic!("not flushed: {waiting}");
        }
    }

    /// Where nothing stands in the way of a call, no job waits longer than `batch.linger`.
    pub(super) fn check_linger(&self, moment: Moment<'_>, obligations: &Obligations) {
        let full = self.in_flight.len() >= moment.settings.max_in_flight.get();
        if full || !self.health.permits(moment) {
            return;
        }
        let busy: BTreeSet<PbxQueue> = self
            .in_flight
            .values()
            .map(|call| call.batch.queue)
            .collect();
        for waiting in obligations
            .values()
            .filter(|o| o.asks(moment) && o.attempts.is_empty())
        {
            let place = Place {
                queue: waiting.job.queue,
                agent: waiting.agent,
                moment,
            };
            let free = !busy.contains(&place.queue) && place.has_alone(waiting, obligations);
            let lingered = moment.now.elapsed >= waiting.delivered + moment.settings.linger;
            assert!(
                !(free && lingered),
                "waits longer than linger though nothing stands in its way: {waiting}"
            );
        }
    }
}

impl Call {
    /// Takes the riders in, each only while it has attempts left.
    fn board(&self, obligations: &mut Obligations, settings: &Settings) {
        let newest = obligations.values().map(|o| o.arrival).max();
        for Rider { id, .. } in &self.riders {
            let Some(rider) = obligations.get_mut(id) else {
                continue;
            };
            let spent = rider.counted_for_certain() >= attempts_max(settings);
            assert!(
                is_free(self.batch.cause) || !spent,
                "one attempt too many: {rider}"
            );
            rider.first_called = rider.first_called.or(newest);
        }
    }

    fn said_of(&self, agent: Agent, result: &CallResult) -> (Seen, Option<Arc<str>>) {
        let (seen, message) = match result {
            CallResult::Answered(items) => {
                let here = (self.batch.queue, agent);
                let item = items.iter().find(|item| (item.queue, item.agent) == here);
                return item.map_or((Seen::Unreported, None), |item| {
                    (Seen::Item(item.answer), item.message.clone())
                });
            }
            CallResult::Refused { message } if self.batch.size() == 1 => {
                (Seen::RefusedAlone, message)
            }
            CallResult::Refused { message } => (Seen::RefusedInCompany, message),
            CallResult::Transient { message, .. } => (Seen::Transient, message),
            CallResult::Ambiguous { message } => (Seen::Ambiguous, message),
            CallResult::Fault { message, .. } => (Seen::Fault, message),
        };
        (seen, Some(Arc::clone(message)))
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

/// Everything known of a place, a line each.
fn listed(place: Place<'_>, obligations: &Obligations) -> String {
    let lines: Vec<String> = place
        .all(obligations)
        .map(|(_, o)| format!("\n  {o}"))
        .collect();
    lines.concat()
}

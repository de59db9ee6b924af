//! One PBX queue: what waits (folded, replaced, in order), what is under way, what waits for a retry.
//!
//! Decides what the next batch of its queue would be and when that is due; whether it may leave is the engine's business.

mod line;
mod shelves;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub(super) use line::Waiter;
use line::{Entry, Joined, Line, Place};
use shelves::{Group, Shelves};

use super::Now;
use super::batch::{Batch, Cause};
use super::bounded::Map;
use super::job::{Action, Agent, JobId, OutcomeId, PbxQueue, Timestamp};
use super::outcome::Code;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) queue: PbxQueue,
    lines: Map<Agent, Line>,
    shelves: Shelves,
    pub(super) flight: Option<Flight>,
    /// Fewer agents per call than the settings allow, while this queue's batches make the PBX fail.
    limit: Option<NonZeroUsize>,
    /// What is ready leaves at once, until nothing is.
    flushing: bool,
    last_seq: u64,
}

/// The call under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) batch: Arc<Batch>,
    pub(super) probe: bool,
    pub(super) split: bool,
}

/// When a lane's next batch may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Duration),
    Never,
}

/// What decides whether a batch is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) max_agents: NonZeroUsize,
    pub(super) linger: Duration,
    /// No more company can come: a drain has begun or prefetch is used up.
    pub(super) pressed: Option<Cause>,
}

/// What leaves with the next call.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) action: Action,
    pub(super) cause: Cause,
    pub(super) split: bool,
    /// Never empty.
    pub(super) agents: Vec<Agent>,
    /// When the first of its jobs came.
    pub(super) since: Duration,
    /// Most calls that one of its jobs has behind it.
    pub(super) calls_before: u32,
}

impl Load {
    /// Of agents that are not looked at yet.
    fn of(action: Action, cause: Cause, now: Duration, agents: Vec<Agent>) -> Self {
        Self {
            action,
            cause,
            split: false,
            agents,
            since: now,
            calls_before: 0,
        }
    }
}

/// A waiter whose end is decided.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) waiter: Waiter,
    pub(super) code: Code,
    pub(super) message: Option<Arc<str>>,
    pub(super) superseded_by: Option<JobId>,
}

/// Those who left the lane.
#[derive(Debug, Default)]
pub(super) struct Leavers {
    pub(super) ended: Vec<Ending>,
    /// Undecided and without a ticket: RabbitMQ will deliver them again.
    pub(super) dropped: Vec<Waiter>,
}

impl Leavers {
    /// For a call's agents, each of which nearly always has one job that ends.
    pub(super) fn with_room_for(agents: u32) -> Self {
        let ended = Vec::with_capacity(usize::try_from(agents).unwrap_or_default());
        Self {
            ended,
            dropped: Vec::new(),
        }
    }
}

/// What follows for one waiter after a call.
#[derive(Debug)]
pub(super) enum Fate {
    End {
        code: Code,
        message: Option<Arc<str>>,
    },
    Again,
}

/// Where an entry goes that is not done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    At(Duration),
    AtOnce,
    Split,
}

impl Lane {
    pub(super) fn new(queue: PbxQueue) -> Self {
        Self {
            queue,
            lines: Map::default(),
            shelves: Shelves::default(),
            flight: None,
            limit: None,
            flushing: false,
            last_seq: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flight.is_none() && self.lines.is_empty()
    }

    /// Agents that could be called now or later, not counting those that wait behind another job of their own.
    pub(super) fn waiting(&self) -> usize {
        self.shelves.len()
    }

    pub(super) fn retrying(&self) -> usize {
        self.shelves.retrying()
    }

    pub(super) fn find(&mut self, agent: Agent, id: OutcomeId) -> Option<&mut Waiter> {
        self.lines.get_mut(&agent)?.find(id)
    }

    pub(super) fn newest(&self, agent: Agent) -> Option<(Timestamp, &JobId)> {
        self.lines.get(&agent)?.newest()
    }

    /// Those whom the call under way is for.
    pub(super) fn called(&self) -> impl Iterator<Item = &Waiter> {
        let agents = self.flight.iter().flat_map(|flight| flight.batch.agents());
        let lines = agents.filter_map(|agent| self.lines.get(&agent));
        lines.flat_map(Line::called)
    }

    pub(super) fn admit(&mut self, now: Duration, waiter: Waiter) {
        let agent = waiter.target.agent;
        let seq = self.seq();
        let line = self.lines.entry(agent).or_default();
        match line.join(now, seq, waiter) {
            Joined::Folded => {}
            Joined::Replaced { shelved } => {
                if let Some(shelved) = shelved {
                    self.shelves.take_off(agent, Action::Pause, shelved);
                }
                self.place_front(agent);
            }
            Joined::Appended => self.place_front(agent),
        }
    }

    pub(super) fn due(&self, now: Duration, rules: &Rules) -> Due {
        if !self.shelves.splits.is_empty() {
            return Due::Now;
        }
        let limit = self.limit(rules);
        let mut next = self.shelves.next_retry();
        for action in Action::ALL {
            let ready = self.shelves.shelf(action);
            let Some((_, since)) = ready.oldest() else {
                continue;
            };
            let hurried = rules.pressed.is_some() || self.flushing;
            if hurried || ready.is_urgent() || ready.len() >= limit {
                return Due::Now;
            }
            let lingered = since.saturating_add(rules.linger);
            next = Some(next.map_or(lingered, |at| at.min(lingered)));
        }
        match next {
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// The next call's agents, if one is due; expired jobs are taken out first. As a probe it is due at once.
    pub(super) fn load(
        &mut self,
        now: Now,
        rules: &Rules,
        probe: bool,
        leavers: &mut Leavers,
    ) -> Option<Load> {
        self.end_waits(if probe { Duration::MAX } else { now.elapsed });
        loop {
            let mut load = self.pick(now.elapsed, rules, probe)?;
            self.flushing &= self.shelves.ready() > 0;
            let picked = std::mem::take(&mut load.agents);
            load.agents.reserve_exact(picked.len());
            for agent in picked {
                if let Some(entry) = self.board(agent, now, leavers) {
                    load.since = load.since.min(entry.since);
                    load.calls_before = load.calls_before.max(entry.calls());
                    load.agents.push(agent);
                }
            }
            if !load.agents.is_empty() {
                return Some(load);
            }
        }
    }

    /// Decides one agent of the call that is over, job by job.
    pub(super) fn finish(
        &mut self,
        now: Duration,
        agent: Agent,
        mut fate: impl FnMut(&mut Waiter) -> Fate,
        leavers: &mut Leavers,
    ) -> Option<Unplaced> {
        let line = self.lines.get_mut(&agent)?;
        let mut entry = line.0.pop_front()?;
        let mut released = Vec::new();
        let mut kept = Vec::new();
        for mut waiter in entry.waiters.drain(..) {
            match fate(&mut waiter) {
                Fate::End { code, message } => {
                    end(waiter, code, message, &mut released, leavers);
                }
                Fate::Again if waiter.claim.is_none() => {
                    released.append(&mut waiter.replaces);
                    leavers.dropped.push(waiter);
                }
                Fate::Again => {
                    waiter.inherit(&mut released);
                    kept.push(waiter);
                }
            }
        }
        let (released, void): (Vec<_>, Vec<_>) = released
            .into_iter()
            .partition(|waiter| waiter.claim.is_some());
        leavers.dropped.extend(void);
        let spent = kept.iter().map(|waiter| waiter.progress.counted).max();
        self.last_seq += 1;
        line.restore(0, now, self.last_seq, released);
        if let Some(counted) = spent {
            entry.waiters = kept;
            entry.urgent = true;
            line.give_back(entry);
            return Some(Unplaced { agent, counted });
        }
        self.place_front(agent);
        None
    }

    /// Puts an agent that [`Lane::finish`] left over behind all others that wait: it had its turn.
    pub(super) fn step_back(&mut self, unplaced: &Unplaced) {
        let seq = self.seq();
        let line = self.lines.get_mut(&unplaced.agent);
        if let Some(entry) = line.and_then(|line| line.0.front_mut()) {
            entry.seq = seq;
        }
    }

    /// Says where an agent that [`Lane::finish`] left over goes.
    pub(super) fn put(&mut self, unplaced: &Unplaced, next: Next) {
        let agent = unplaced.agent;
        let Some(entry) = self
            .lines
            .get_mut(&agent)
            .and_then(|line| line.0.front_mut())
        else {
            return;
        };
        match next {
            Next::At(due) => self.shelves.put_later(agent, entry, due),
            Next::AtOnce => self.shelves.put_ready(agent, entry),
            Next::Split => entry.place = Place::Split,
        }
    }

    /// Queues the two halves of a refused batch, to go out before anything else.
    pub(super) fn split(&mut self, action: Action, left_over: &[Unplaced]) {
        let agents: Vec<Agent> = left_over.iter().map(|unplaced| unplaced.agent).collect();
        let (first, second) = agents.split_at(agents.len().div_ceil(2));
        for half in [second, first] {
            if !half.is_empty() {
                self.shelves.splits.push_front(Group {
                    action,
                    agents: half.to_vec(),
                });
            }
        }
    }

    /// Gives up splitting: what is left of it becomes ordinary retries, due at `due`.
    pub(super) fn dissolve(&mut self, due: Duration) {
        for group in std::mem::take(&mut self.shelves.splits) {
            for agent in group.agents {
                if let Some(entry) = self.lines.get_mut(&agent).and_then(|l| l.0.front_mut()) {
                    entry.urgent = true;
                    self.shelves.put_later(agent, entry, due);
                }
            }
        }
    }

    /// Everything that waits may leave at once, oldest first as ever; retries do not wait for their time.
    pub(super) fn flush(&mut self) {
        self.end_waits(Duration::MAX);
        self.flushing = self.shelves.ready() > 0;
    }

    /// A probe of `size` agents failed: the next batch of this queue is half as large.
    pub(super) fn halve(&mut self, size: u32) {
        let half = usize::try_from(size / 2).unwrap_or(usize::MAX);
        self.limit = Some(NonZeroUsize::new(half).unwrap_or(NonZeroUsize::MIN));
    }

    /// A call landed: batches may grow again, doubling up to what the settings allow.
    pub(super) fn grow(&mut self, max_agents: NonZeroUsize) {
        self.limit = self
            .limit
            .map(|limit| limit.saturating_mul(NonZeroUsize::MIN.saturating_add(1)))
            .filter(|limit| *limit < max_agents);
    }

    /// Takes out what has expired and is not under way. Returns the next expiry of what stays.
    pub(super) fn sweep(&mut self, now: Now, leavers: &mut Leavers) -> Option<Timestamp> {
        let mut expired = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (agent, line) in &self.lines {
            for entry in &line.0 {
                for at in entry
                    .waiters
                    .iter()
                    .filter_map(|waiter| waiter.job.expires_at)
                {
                    if at > now.wall {
                        next = Some(next.map_or(at, |next| next.min(at)));
                    } else if entry.place != Place::Called {
                        expired.push(*agent);
                    }
                }
            }
        }
        for agent in expired {
            self.prune(agent, now, leavers);
        }
        next
    }

    /// The channel is gone: tickets are void, what waits is dropped, what is under way goes on.
    pub(super) fn void(&mut self, leavers: &mut Leavers) {
        self.shelves = Shelves::default();
        self.flushing = false;
        self.lines.retain(|_, line| {
            leavers.dropped.append(&mut line.void());
            !line.0.is_empty()
        });
    }

    fn seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    fn limit(&self, rules: &Rules) -> usize {
        self.limit
            .map_or(rules.max_agents, |limit| limit.min(rules.max_agents))
            .get()
    }

    /// Makes every retry ready that is due by `until`.
    fn end_waits(&mut self, until: Duration) {
        while let Some(agent) = self.shelves.pop_later(until) {
            if let Some(entry) = self
                .lines
                .get_mut(&agent)
                .and_then(|line| line.0.front_mut())
            {
                self.shelves.put_ready(agent, entry);
            }
        }
    }

    /// Takes the agents of the next call off their shelves: a refused batch's part first, else the action whose oldest
    /// entry came first among those that are due.
    fn pick(&mut self, now: Duration, rules: &Rules, probe: bool) -> Option<Load> {
        if let Some(group) = self.shelves.splits.pop_front() {
            let cause = if probe { Cause::Probe } else { Cause::Split };
            let Group { action, mut agents } = group;
            // The settings may have allowed more when it was split.
            let fit = agents.len().min(rules.max_agents.get());
            let rest = agents.split_off(fit);
            if !rest.is_empty() {
                let agents = rest;
                self.shelves.splits.push_front(Group { action, agents });
            }
            return Some(Load {
                split: true,
                ..Load::of(action, cause, now, agents)
            });
        }
        let limit = self.limit(rules);
        let due = Action::ALL.into_iter().filter_map(|action| {
            let ready = self.shelves.shelf(action);
            let (seq, since) = ready.oldest()?;
            let cause = if probe {
                Cause::Probe
            } else if ready.is_urgent() {
                Cause::Retry
            } else if ready.len() >= limit {
                Cause::Full
            } else if since.saturating_add(rules.linger) <= now {
                Cause::Linger
            } else if self.flushing {
                Cause::Flush
            } else {
                rules.pressed?
            };
            Some((seq, action, cause))
        });
        let (_, action, cause) = due.min_by_key(|(seq, ..)| *seq)?;
        let agents = self.shelves.shelf_mut(action).take(limit);
        Some(Load::of(action, cause, now, agents))
    }

    /// Puts an agent into the call, unless every job that waits for it has expired.
    fn board(&mut self, agent: Agent, now: Now, leavers: &mut Leavers) -> Option<&Entry> {
        let line = self.lines.get_mut(&agent)?;
        let seq = line.0.front().map(|entry| entry.seq);
        if line.has_expired(now.wall) {
            self.prune(agent, now, leavers);
        }
        let front = self.lines.get_mut(&agent)?.0.front_mut();
        let entry = front.filter(|entry| Some(entry.seq) == seq)?;
        entry.place = Place::Called;
        Some(entry)
    }

    /// Ends the jobs that have waited longest, agent by agent, until no more than `most` are left or under way.
    pub(super) fn shed(&mut self, now: Duration, most: usize, why: &str, leavers: &mut Leavers) {
        let held: usize = self.lines.values().map(Line::claims).sum();
        let mut surplus = held.saturating_sub(most);
        if surplus == 0 {
            return;
        }
        let queue = self.queue;
        let message: Arc<str> = format!(
            "given up: calls for PBX queue {queue} keep failing ({why}) while others are answered, and more of its jobs wait \
             than may"
        )
        .into();
        let foremost = |(agent, line): (&Agent, &Line)| Some((line.next_seq()?, *agent));
        let mut agents: Vec<(u64, Agent)> = self.lines.iter().filter_map(foremost).collect();
        agents.sort_unstable();
        for (_, agent) in agents {
            self.end_waiting(agent, now, leavers, |waiter| {
                let given_up = surplus > 0;
                surplus = surplus.saturating_sub(1 + waiter.echoes.len());
                given_up.then(|| (waiter.progress.give_up(), Some(Arc::clone(&message))))
            });
            if surplus == 0 {
                return;
            }
        }
    }

    /// Ends the expired jobs of an agent that are not under way.
    fn prune(&mut self, agent: Agent, now: Now, leavers: &mut Leavers) {
        self.end_waiting(agent, now.elapsed, leavers, |waiter| {
            waiter.expired(now.wall).then_some((Code::Expired, None))
        });
    }

    /// Ends those jobs of an agent that are not under way and for which `decide` has an end: a code, and words for it.
    fn end_waiting(
        &mut self,
        agent: Agent,
        now: Duration,
        leavers: &mut Leavers,
        mut decide: impl FnMut(&Waiter) -> Option<(Code, Option<Arc<str>>)>,
    ) {
        let Some(line) = self.lines.get_mut(&agent) else {
            return;
        };
        let mut index = 0;
        while let Some(entry) = line.0.get_mut(index) {
            if entry.place == Place::Called {
                index += 1;
                continue;
            }
            let mut released = Vec::new();
            let mut at = 0;
            while let Some(waiter) = entry.waiters.get_mut(at) {
                if let Some((code, message)) = decide(waiter) {
                    let waiter = entry.waiters.remove(at);
                    end(waiter, code, message, &mut released, leavers);
                } else {
                    waiter.inherit(&mut released);
                    at += 1;
                }
            }
            self.last_seq += 1;
            let seq = self.last_seq;
            if entry.waiters.is_empty() {
                self.shelves
                    .take_off(agent, entry.action, (entry.place, entry.seq));
                line.0.remove(index);
                line.restore(index, now, seq, released);
                // What now stands here has not been looked at, unless nothing does.
                index -= usize::from(line.join_neighbours(index));
                continue;
            }
            line.restore(index + 1, now, seq, released);
            index += 1;
        }
        self.place_front(agent);
        self.flushing &= self.shelves.ready() > 0;
    }

    /// Makes the front entry of a line ready if it has just become the front; forgets an empty line.
    fn place_front(&mut self, agent: Agent) {
        let Some(line) = self.lines.get_mut(&agent) else {
            return;
        };
        match line.0.front_mut() {
            Some(entry) if entry.place == Place::Behind => self.shelves.put_ready(agent, entry),
            Some(_) => {}
            None => {
                self.lines.remove(&agent);
            }
        }
    }
}

/// An agent whose call is over and whose next place is not yet said; see [`Lane::put`].
#[derive(Debug)]
#[must_use = "an agent without a place is never called again"]
pub(super) struct Unplaced {
    agent: Agent,
    /// Most counted attempts of the jobs that wait for it.
    pub(super) counted: u32,
}

/// Ends one waiter. Pauses that it stood in for end with it if it succeeded, and are released if not.
fn end(
    mut waiter: Waiter,
    code: Code,
    message: Option<Arc<str>>,
    released: &mut Vec<Waiter>,
    leavers: &mut Leavers,
) {
    let replaced = std::mem::take(&mut waiter.replaces);
    if code.status() == super::outcome::Status::Succeeded {
        for pause in replaced {
            let superseded_by = Some(waiter.job.id.clone());
            let code = Code::Superseded;
            leavers.ended.push(Ending {
                waiter: pause,
                code,
                message: None,
                superseded_by,
            });
        }
    } else {
        released.extend(replaced);
    }
    leavers.ended.push(Ending {
        waiter,
        code,
        message,
        superseded_by: None,
    });
}

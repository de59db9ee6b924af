//! The latest outcomes, packed; found by their id or by whom they are about. Bounded by number and by bytes.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::super::job::{Agent, Echo, JobId, OutcomeId, PbxQueue, Timestamp};
use super::super::outcome::Outcome;
use super::header::{Burial, Header};
use super::index::Index;
use super::packed::{self, Headline};
use super::ring::{Position, Ring};

/// Most bytes of an echo that is packed with its outcome. A larger one stays as it is, shared by the agents of its job.
const ECHO_PACKED_BYTES_MAX: usize = 128;

/// What is kept at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) outcomes: usize,
    /// So many outcomes are kept even if they need more bytes.
    pub(super) outcomes_min: usize,
    /// Of packed outcomes.
    pub(super) bytes: usize,
    /// Of echoes that are not packed.
    pub(super) echo_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Log {
    bounds: Bounds,
    records: Ring,
    by_id: Index,
    /// Of each agent's jobs that were carried out, the one asked for last.
    carried_out: Index,
    /// Oldest first.
    echoes: VecDeque<Apart>,
    /// Of `echoes`; one that several outcomes in a row share counts once.
    echo_bytes: usize,
    /// A record in the making, kept for its room.
    making: Vec<u8>,
}

/// An echo that is not packed, and where its outcome stands.
#[derive(Debug)]
struct Apart {
    of: Position,
    echo: Arc<Echo>,
}

impl Log {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            records: Ring::with_room_for(bounds.bytes),
            by_id: Index::default(),
            carried_out: Index::default(),
            echoes: VecDeque::new(),
            echo_bytes: 0,
            making: Vec::new(),
        }
    }

    /// Keeps an outcome; an earlier one with its id is found no more. The oldest leave if there are too many.
    pub(super) fn push(&mut self, header: Header, outcome: &Outcome) -> Position {
        let apart = bytes(&outcome.echo) > ECHO_PACKED_BYTES_MAX;
        self.making.clear();
        header.write(&mut self.making);
        packed::pack(outcome, !apart, &mut self.making);
        // First the old leave, then the new comes: a ring that is too small for a moment would double.
        while !self.has_room() && self.pop() {}
        let at = self.records.push(&self.making);
        let Self { records, by_id, .. } = self;
        by_id.put(hash_of_id(header.id), at, |at| {
            has_id(records, at, header.id)
        });
        if apart {
            self.push_echo(at, &outcome.echo);
            while self.echo_bytes > self.bounds.echo_bytes && self.pop() {}
        }
        at
    }

    pub(super) fn find(&self, id: OutcomeId) -> Option<Position> {
        self.by_id
            .find(hash_of_id(id), |at| has_id(&self.records, at, id))
    }

    pub(super) fn get(&self, at: Position) -> Option<(Header, Outcome)> {
        let place = self.records.start(at);
        let echo = self
            .echoes
            .binary_search_by_key(&place, |apart| self.records.start(apart.of))
            .ok()
            .and_then(|place| self.echoes.get(place))
            .map(|apart| Arc::clone(&apart.echo));
        let record = self.records.get(at);
        let (header, packed) = Header::read(&record)?;
        Some((header, packed::unpack(header.id, packed, echo)?))
    }

    pub(super) fn set_burial(&mut self, at: Position, burial: Burial) {
        self.records
            .overwrite(at, Header::BURIAL, &burial.to_bytes());
    }

    /// Lets an outcome be found by its id no more.
    pub(super) fn forget(&mut self, id: OutcomeId, at: Position) {
        self.by_id.remove(hash_of_id(id), at);
    }

    /// Notes that the job of the outcome at `at`, asked for at `requested_at`, was carried out for this agent.
    pub(super) fn note_carried_out(
        &mut self,
        (queue, agent): (PbxQueue, Agent),
        requested_at: Timestamp,
        at: Position,
    ) {
        let (whom, records) = (whom(&queue, &agent), &self.records);
        let hash = hash_of_whom(whom);
        let is_it = |at| is_about(records, at, whom);
        let before = self.carried_out.find(hash, is_it);
        let asked_for = |at| headline(&records.get(at)).and_then(|of| of.requested_at);
        if before.is_none_or(|before| asked_for(before) < Some(requested_at)) {
            self.carried_out.put(hash, at, is_it);
        }
    }

    /// The job that was carried out for this agent and was asked for last: when that was, and where its outcome stands.
    pub(super) fn carried_out(
        &self,
        queue: PbxQueue,
        agent: Agent,
    ) -> Option<(Timestamp, Position)> {
        let whom = whom(&queue, &agent);
        let at = self
            .carried_out
            .find(hash_of_whom(whom), |at| is_about(&self.records, at, whom))?;
        let record = self.records.get(at);
        Some((headline(&record)?.requested_at?, at))
    }

    pub(super) fn job_id(&self, at: Position) -> Option<JobId> {
        let record = self.records.get(at);
        let text = std::str::from_utf8(headline(&record)?.job_id?).ok()?;
        JobId::parse(text).ok()
    }

    /// Whether the record in the making fits.
    fn has_room(&self) -> bool {
        let (records, bounds) = (self.records.records(), &self.bounds);
        let fits = self.records.bytes_with(&self.making) <= bounds.bytes;
        records < bounds.outcomes && (fits || records < bounds.outcomes_min)
    }

    /// Lets the oldest outcome go; `false` if there is none.
    fn pop(&mut self) -> bool {
        let Some(at) = self.records.first() else {
            return false;
        };
        let record = self.records.get(at);
        if let Some((header, packed)) = Header::read(&record) {
            self.by_id.remove(hash_of_id(header.id), at);
            let Headline { queue, agent, .. } = packed::headline(packed);
            if let (Some(queue), Some(agent)) = (queue, agent) {
                self.carried_out.remove(hash_of_whom((queue, agent)), at);
            }
        }
        self.records.pop();
        if let Some(apart) = self.echoes.pop_front_if(|apart| apart.of == at) {
            let next = self.echoes.front();
            if next.is_none_or(|next| !Arc::ptr_eq(&next.echo, &apart.echo)) {
                self.echo_bytes -= bytes(&apart.echo);
            }
        }
        true
    }

    fn push_echo(&mut self, at: Position, echo: &Arc<Echo>) {
        let last = self.echoes.back();
        if last.is_none_or(|last| !Arc::ptr_eq(&last.echo, echo)) {
            self.echo_bytes += bytes(echo);
        }
        self.echoes.push_back(Apart {
            of: at,
            echo: Arc::clone(echo),
        });
    }
}

/// A PBX queue and one of its agents.
type Whom<'a> = (&'a [u8], &'a [u8]);

fn whom<'a>(queue: &'a PbxQueue, agent: &'a Agent) -> Whom<'a> {
    (queue.as_bytes(), agent.as_bytes())
}

fn headline(record: &[u8]) -> Option<Headline<'_>> {
    Header::read(record).map(|(_, packed)| packed::headline(packed))
}

fn has_id(records: &Ring, at: Position, id: OutcomeId) -> bool {
    Header::read(&records.get(at)).is_some_and(|(header, _)| header.id == id)
}

fn is_about(records: &Ring, at: Position, (queue, agent): Whom<'_>) -> bool {
    let record = records.get(at);
    headline(&record).is_some_and(|of| (of.queue, of.agent) == (Some(queue), Some(agent)))
}

fn hash_of_id(id: OutcomeId) -> u32 {
    // A part of a hash already.
    id.0.as_fields().0
}

/// The lower half will do, and spares memory.
fn hash_of_whom(whom: Whom<'_>) -> u32 {
    let hash = FixedState::default().hash_one(whom);
    let [half @ .., _, _, _, _] = hash.to_le_bytes();
    u32::from_le_bytes(half)
}

fn bytes(echo: &Echo) -> usize {
    packed::texts(echo)
        .iter()
        .flatten()
        .map(|text| text.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::super::job::{Action, Job};
    use super::super::super::outcome::Code;
    use super::*;
    use std::time::Duration;

    const BOUNDS: Bounds = Bounds {
        outcomes: 100,
        outcomes_min: 10,
        bytes: 1_000_000,
        echo_bytes: 1_000_000,
    };

    fn push(log: &mut Log, outcome: &Outcome) -> Position {
        let header = Header {
            burial: Burial::Settled,
            id: outcome.id,
            ended: Duration::ZERO,
        };
        log.push(header, outcome)
    }

    /// An outcome of a job `id` whose context has `context` bytes.
    fn outcome(id: usize, context: usize) -> Outcome {
        let job = Job::sample(&id.to_string(), Action::Pause, &["570"]);
        let mut outcome = (*Outcome::sample(&job, 0, Code::Applied, 1)).clone();
        outcome.echo = Arc::new(Echo {
            context: Some("x".repeat(context).into()),
            ..Echo::default()
        });
        outcome
    }

    /// Which of `n` outcomes are left.
    fn left(bounds: Bounds, n: usize, context: usize) -> Vec<usize> {
        let mut log = Log::new(bounds);
        let outcomes: Vec<Outcome> = (0..n).map(|id| outcome(id, context)).collect();
        for outcome in &outcomes {
            push(&mut log, outcome);
        }
        let whole = |n: &usize| {
            let at = log.find(outcomes[*n].id)?;
            Some(log.get(at)?.1 == outcomes[*n])
        };
        (0..n).filter(|n| whole(n) == Some(true)).collect()
    }

    #[test]
    fn the_oldest_outcomes_leave_first_and_every_bound_holds() {
        let last = |n: usize| (1_000 - n..1_000).collect::<Vec<_>>();
        assert_eq!(left(BOUNDS, 1_000, 0), last(100));
        let echo_bytes = 1_000;
        assert_eq!(
            left(
                Bounds {
                    echo_bytes,
                    ..BOUNDS
                },
                1_000,
                200
            ),
            last(5)
        );
        let bytes = 4_000;
        let by_bytes = left(Bounds { bytes, ..BOUNDS }, 1_000, 100).len();
        assert!((20..40).contains(&by_bytes), "{by_bytes}");
        let bytes = 0;
        assert_eq!(left(Bounds { bytes, ..BOUNDS }, 1_000, 100), last(10));
    }

    #[test]
    fn a_full_memory_takes_no_more_room_than_it_was_given() {
        let bytes = 4_000;
        let mut log = Log::new(Bounds { bytes, ..BOUNDS });
        let room = log.records.room();
        for id in 0..1_000 {
            push(&mut log, &outcome(id, id % 100));
            assert_eq!(log.records.room(), room);
        }
    }

    #[test]
    fn an_echo_that_agents_of_one_job_share_counts_once() {
        let echo_bytes = 500;
        let mut log = Log::new(Bounds {
            echo_bytes,
            ..BOUNDS
        });
        let shared = outcome(0, 400);
        for id in 0..50 {
            let echo = Arc::clone(&shared.echo);
            push(
                &mut log,
                &Outcome {
                    echo,
                    ..outcome(id, 0)
                },
            );
        }
        assert_eq!(log.records.records(), 50);
        push(&mut log, &outcome(50, 400));
        assert_eq!((log.records.records(), log.echo_bytes), (1, 400));
    }

    #[test]
    fn what_left_is_found_by_neither_id_nor_agent() {
        let mut log = Log::new(Bounds {
            outcomes: 1,
            ..BOUNDS
        });
        let (queue, agent) = (outcome(0, 0).queue.unwrap(), outcome(0, 0).agent.unwrap());
        let mut old = outcome(0, 0);
        old.requested_at = Some(Timestamp(7));
        let at = push(&mut log, &old);
        log.note_carried_out((queue, agent), Timestamp(7), at);
        assert_eq!(log.carried_out(queue, agent), Some((Timestamp(7), at)));
        assert_eq!(log.job_id(at), old.job_id);
        push(&mut log, &outcome(1, 0));
        assert_eq!(log.carried_out(queue, agent), None);
        assert_eq!(log.find(old.id), None);
    }
}

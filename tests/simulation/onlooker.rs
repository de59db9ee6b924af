//! Who looks at a run from outside: notes what is sent, told and called, for the oracle that chaos asks, too.
//!
//! An outcome is heard once its confirm is; one that came back as unroutable where the settings let it go; and one whose confirm is
//! lost with the session, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clockout::engine::batch::Batch;
use clockout::engine::job::{self, OutcomeId, Ticket};
use clockout::engine::outcome::Outcome;
use clockout::engine::{Published, TellId};
use fastrand::Rng;

use crate::outside::{self, Account, Action, Broken, Call, Job, Kind, Sent};
use crate::pbx::{Member, Pbx};
use crate::producer::{Asked, Message};

/// An agent of a job that was sent: the job's number, and the agent's in it.
type Slot = (usize, usize);

#[derive(Debug, Default)]
pub(crate) struct Onlooker {
    account: Account,
    calls: Vec<Call>,
    /// Several, where a job was sent again.
    slots: BTreeMap<OutcomeId, Vec<Slot>>,
    /// Published, and not yet answered.
    telling: BTreeMap<TellId, Telling>,
    /// Those whose confirm the worker has heard, so that it may acknowledge their jobs.
    confirmed: BTreeSet<OutcomeId>,
    burying: BTreeMap<Ticket, Message>,
}

#[derive(Debug)]
struct Telling {
    outcome: Outcome,
    /// The broker has it, whether the worker hears so or not.
    is_taken: bool,
    is_heard: bool,
}

/// How many agents of a run were judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Judged {
    pub(crate) agents: usize,
    pub(crate) left_open: usize,
}

impl Onlooker {
    pub(crate) fn sent(&mut self, message: &Message) {
        let number = self.account.sent.len();
        let expected = message.expected();
        let job = job(number, message, expected.iter().filter_map(|one| one.asked));
        let mut sent = Sent::new(job);
        let mut letters = 0;
        for (place, (expected, told)) in expected.iter().zip(&mut sent.told).enumerate() {
            let slots = self.slots.entry(expected.id).or_default();
            told.is_sent_late = !slots.is_empty();
            for (earlier, place) in slots.iter() {
                let earlier = &mut self.account.sent[*earlier];
                earlier.told[*place].is_sent_late = true;
                // A job that failed is buried once, however often it was sent.
                letters += earlier.letters;
            }
            slots.push((number, place));
        }
        sent.letters = letters;
        self.account.sent.push(sent);
    }

    pub(crate) fn called(&mut self, now: Duration, batch: &Batch) {
        self.calls.push(Call {
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            action: action(batch.action),
            queues: vec![batch.queue.to_string()],
            agents: batch.agents().map(|agent| agent.to_string()).collect(),
        });
    }

    pub(crate) fn published(&mut self, tell: TellId, outcome: &Outcome, published: Published) {
        let telling = Telling {
            outcome: outcome.clone(),
            is_taken: published == Published::Confirmed,
            is_heard: false,
        };
        self.telling.insert(tell, telling);
    }

    /// The worker hears that the broker has the outcome that was published so.
    pub(crate) fn confirmed(&mut self, tell: TellId) {
        if let Some(telling) = self.telling.remove(&tell) {
            self.confirmed.insert(telling.outcome.id);
            if !telling.is_heard {
                self.hears(&telling.outcome);
            }
        }
    }

    /// Hears some of the outcomes that the broker has taken and whose confirm may be lost; told again, they are heard twice.
    pub(crate) fn session_ended(&mut self, rng: &mut Rng) {
        let mut telling = std::mem::take(&mut self.telling);
        for one in telling
            .values_mut()
            .filter(|one| one.is_taken && rng.bool())
        {
            one.is_heard = true;
            self.hears(&one.outcome);
        }
        self.telling = telling;
    }

    /// No more confirms come of what was published before.
    pub(crate) fn void(&mut self) {
        self.telling.clear();
    }

    fn hears(&mut self, outcome: &Outcome) {
        let Outcome { id, conclusion, .. } = outcome;
        let mut is_foreign = true;
        for &(number, place) in self.slots.get(id).into_iter().flatten() {
            let Sent { job, told, .. } = &mut self.account.sent[number];
            if names(outcome, job, place) {
                is_foreign = false;
                let attempts = u64::from(conclusion.attempts);
                let code = conclusion.code;
                told[place].hear(
                    &id.to_string(),
                    code.as_str(),
                    code.status().as_str(),
                    attempts,
                );
            }
        }
        if is_foreign {
            self.account.strangers.push(format!("{outcome:?}"));
        }
    }

    pub(crate) fn buried(&mut self, ticket: Ticket, message: &Message) {
        self.burying.insert(ticket, message.clone());
    }

    /// Finds the dead letter that was published so.
    pub(crate) fn finds_letter(&mut self, ticket: Ticket) {
        let Some(of) = self.burying.remove(&ticket) else {
            return;
        };
        for expected in of.expected() {
            for &(number, _) in self.slots.get(&expected.id).into_iter().flatten() {
                self.account.sent[number].letters += 1;
            }
        }
    }

    /// Sees that the broker has these acknowledged: nobody would bring them back.
    pub(crate) fn acknowledged(&self, done: &[Message]) {
        for expected in done.iter().flat_map(Message::expected) {
            let is_told = self.confirmed.contains(&expected.id);
            assert!(is_told, "acknowledged, and no outcome heard: {expected:?}");
        }
    }

    /// Judges all that was seen, beside how the PBX has its agents in the end.
    pub(crate) fn judges(self, pbx: &Pbx) -> Judged {
        let mut seen = outside::Pbx {
            calls: self.calls,
            ..outside::Pbx::default()
        };
        for (queue, agent, member) in pbx.members() {
            let member = outside::Member {
                member: member != Member::Absent,
                paused: member == Member::Paused,
            };
            let queue = seen.members.entry(queue.to_string()).or_default();
            queue.insert(agent.to_string(), member);
        }
        let broken: Vec<Broken> = outside::judge(&self.account, &seen);
        assert!(broken.is_empty(), "seen from outside: {broken:#?}");
        let left_open = outside::left_open(&self.account).len();
        Judged {
            agents: self.account.stories().len() - left_open,
            left_open,
        }
    }
}

fn job(number: usize, message: &Message, asked: impl Iterator<Item = Asked>) -> Job {
    let (kind, action, queue) = match message {
        Message::Job { head, .. } => {
            let lives = head.expires_at.map(|at| at.0 - head.received_at.0);
            let kind = match lives {
                _ if head.dry_run => Kind::DryRun,
                Some(..=0) => Kind::Expired,
                Some(lives) => {
                    Kind::Expiring(Duration::from_millis(u64::try_from(lives).unwrap_or(0)))
                }
                None => Kind::Sound,
            };
            (kind, action(head.action), head.queue.to_string())
        }
        Message::Unreadable { code, .. } => {
            (Kind::Bad(code.as_str()), Action::Pause, String::new())
        }
    };
    Job {
        number,
        kind,
        action,
        queue,
        agents: asked.map(|asked| asked.agent.to_string()).collect(),
    }
}

fn action(action: job::Action) -> Action {
    match action {
        job::Action::Pause => Action::Pause,
        job::Action::Remove => Action::Remove,
    }
}

/// Whether an outcome names what this agent's job asked for. One of no valid job names nothing.
fn names(outcome: &Outcome, job: &Job, place: usize) -> bool {
    let named = (
        outcome.action.map(action),
        outcome.queue.map(|queue| queue.to_string()),
        outcome.agent.map(|agent| agent.to_string()),
    );
    match job.agents.get(place) {
        Some(agent) => {
            named
                == (
                    Some(job.action),
                    Some(job.queue.clone()),
                    Some(agent.clone()),
                )
        }
        None => named == (None, None, None),
    }
}

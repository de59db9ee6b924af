//! Which outcomes are owed for what is sent, and what has been told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clockout::engine::job::{Action, Agent, Job, JobId, OutcomeId, PbxQueue};
use clockout::engine::outcome::Status;
use clockout::wire::outcome::routing_pattern;
use clockout::wire::told::Outcome;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::outcome;
use crate::cli::terminal::{Cell, Table, Tone};

/// Most PBX queues that are listened to one by one; of more, everything is.
const QUEUES_MAX: usize = 64;

/// Most agents that are shown one by one in the end.
const SHOWN_MAX: usize = 20;

/// One agent of a job that is sent.
#[derive(Debug)]
struct Asked {
    /// In the order of the input.
    number: usize,
    job_id: JobId,
    action: Action,
    queue: PbxQueue,
    agent: Agent,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    owed: HashMap<OutcomeId, Asked>,
    queues: BTreeSet<PbxQueue>,
    /// How many agents ended in each way, by status and code.
    told: BTreeMap<(String, String), Ending>,
    /// The first of those that did not succeed.
    shown: Vec<Outcome>,
}

#[derive(Debug)]
struct Ending {
    tone: Tone,
    is_good: bool,
    agents: u64,
}

impl Ledger {
    /// Of the same job twice, one outcome is owed: the second is only told again.
    pub(super) fn expect(&mut self, job: &Job) {
        if self.queues.len() <= QUEUES_MAX {
            self.queues.insert(job.queue);
        }
        for target in job.targets() {
            let asked = Asked {
                number: self.owed.len(),
                job_id: job.id.clone(),
                action: job.action,
                queue: job.queue,
                agent: target.agent,
            };
            self.owed.entry(target.outcome_id).or_insert(asked);
        }
    }

    /// Outcomes owed and not told.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Routing keys that fit all that is owed.
    pub(super) fn patterns(&self) -> Vec<String> {
        if self.queues.len() > QUEUES_MAX {
            return vec![routing_pattern(None, None, None)];
        }
        let queues = self.queues.iter();
        queues
            .map(|queue| routing_pattern(None, None, Some(queue)))
            .collect()
    }

    /// Whether the outcome was owed; it is not any more.
    pub(super) fn note(&mut self, outcome: Outcome) -> bool {
        let id = Uuid::parse_str(&outcome.id).map(OutcomeId);
        if id.ok().and_then(|id| self.owed.remove(&id)).is_none() {
            return false;
        }
        let is_good = matches!(outcome.status(), Some(Status::Succeeded | Status::DryRun));
        let key = (outcome.status.clone(), outcome.code.clone());
        let ending = self.told.entry(key).or_insert(Ending {
            tone: outcome::tone(&outcome),
            is_good,
            agents: 0,
        });
        ending.agents += 1;
        if !is_good && self.shown.len() < SHOWN_MAX {
            self.shown.push(outcome);
        }
        true
    }

    /// Whether everything that is owed was told, and is good.
    pub(super) fn is_good(&self) -> bool {
        self.owed.is_empty() && self.told.values().all(|ending| ending.is_good)
    }

    /// What nothing was told of, in the order of the input, as `--json` prints it.
    pub(super) fn missing(&self) -> impl Iterator<Item = Value> {
        self.still_owed().into_iter().map(|asked| {
            json!({
                "job_id": asked.job_id.as_str(),
                "action": asked.action.as_str(),
                "queue": asked.queue.as_str(),
                "agent": asked.agent.as_str(),
                "status": null,
            })
        })
    }

    fn still_owed(&self) -> Vec<&Asked> {
        let mut owed: Vec<&Asked> = self.owed.values().collect();
        owed.sort_unstable_by_key(|asked| asked.number);
        owed
    }

    /// How many agents did not succeed and do not show among the [first](Self::unsuccessful).
    pub(super) fn not_shown(&self) -> u64 {
        let bad = self.told.values().filter(|ending| !ending.is_good);
        let told: u64 = bad.map(|ending| ending.agents).sum();
        (told + self.owed.len() as u64).saturating_sub(SHOWN_MAX as u64)
    }

    /// How many agents ended in which way.
    pub(super) fn endings(&self) -> Table<3> {
        let mut table = Table::new(["status", "code", "agents"]);
        for ((status, code), ending) in &self.told {
            table.add([
                Cell::text(status).toned(ending.tone),
                Cell::text(code),
                Cell::number(ending.agents),
            ]);
        }
        if !self.owed.is_empty() {
            table.add([
                Cell::text("no outcome").toned(Tone::Doubtful),
                Cell::text(""),
                Cell::number(self.owed.len()),
            ]);
        }
        table
    }

    /// The first agents of those that did not succeed; nothing if all did.
    pub(super) fn unsuccessful(&self) -> Table<7> {
        let mut table = Table::new([
            "job_id", "action", "queue", "agent", "status", "code", "message",
        ]);
        for outcome in &self.shown {
            let [_, action, queue, agent, status, code, job_id, message] =
                outcome::columns(outcome);
            let status = Cell::text(&status).toned(outcome::tone(outcome));
            let [job_id, action, queue, agent, code, message] =
                [job_id, action, queue, agent, code, message].map(|text| Cell::text(&text));
            table.add([job_id, action, queue, agent, status, code, message]);
        }
        let room = SHOWN_MAX - self.shown.len();
        for asked in self.still_owed().into_iter().take(room) {
            table.add([
                Cell::text(asked.job_id.as_str()),
                Cell::text(asked.action.as_str()),
                Cell::text(asked.queue.as_str()),
                Cell::text(asked.agent.as_str()),
                Cell::text("no outcome").toned(Tone::Doubtful),
                Cell::text(""),
                Cell::text(""),
            ]);
        }
        table
    }
}

//! What is judged: the jobs that were sent, what was told of each, and what the PBX was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Pause,
    Remove,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Pause => "pause",
            Action::Remove => "remove",
        }
    }
}

/// What a job is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sound,
    /// Published twice.
    Repeated,
    DryRun,
    /// Expired before it was published.
    Expired,
    /// Expires so long after it was published.
    Expiring(Duration),
    /// No valid job: the code that its outcome must have.
    Bad(&'static str),
}

#[derive(Debug, Clone)]
pub struct Job {
    /// From 0, in the order of publication.
    pub number: usize,
    pub kind: Kind,
    pub action: Action,
    pub queue: String,
    /// Each once; none if the job is bad.
    pub agents: Vec<String>,
}

/// A job that was sent, and what was heard of it.
#[derive(Debug)]
pub struct Sent {
    pub job: Job,
    /// One for each agent; a single one if the job is bad.
    pub told: Vec<Told>,
    pub letters: usize,
    /// Whether it waits in a jobs queue after the end of all workers.
    pub is_left: bool,
    /// Whether jobs queues were deleted when all its outcomes were told and its dead letter, if it is owed one, was not heard
    /// of: nobody sends such a job again, and RabbitMQ has none to deliver again.
    pub is_lost: bool,
}

/// What was told of one agent of one job.
#[derive(Debug, Default)]
pub struct Told {
    pub ids: BTreeSet<String>,
    pub codes: BTreeSet<String>,
    /// Of the outcome that came last.
    pub status: String,
    /// The most PBX calls that any of its outcomes tells of.
    pub attempts: u64,
    pub times: usize,
    /// When the last of them came.
    pub last_at: Option<Instant>,
    /// Whether its producer sent it again after later jobs of the agent, or another job by its id: so it may be carried out
    /// after those, or be told what the other was.
    pub is_sent_late: bool,
}

/// PBX queue and agent.
pub type Place<'r> = (&'r str, &'r str);

/// Jobs of one agent on one queue, and what was told of it for each.
pub type Story<'r> = Vec<(&'r Sent, &'r Told)>;

/// All that was sent and heard.
#[derive(Debug, Default)]
pub struct Account {
    /// By their number.
    pub sent: Vec<Sent>,
    /// Outcomes of nothing that was sent, in words.
    pub strangers: Vec<String>,
    /// When jobs queues were deleted.
    pub deletions: Vec<Instant>,
}

/// A call as the PBX logged it.
#[derive(Debug, Deserialize)]
pub struct Call {
    /// Arrival, in milliseconds since the PBX started.
    pub at_ms: u64,
    pub action: Action,
    pub queues: Vec<String>,
    pub agents: Vec<String>,
}

/// An agent as the PBX has it in the end.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Member {
    pub member: bool,
    pub paused: bool,
}

/// What the PBX has seen, and who is on its queues: by queue and agent.
#[derive(Debug, Default)]
pub struct Pbx {
    pub calls: Vec<Call>,
    pub members: BTreeMap<String, BTreeMap<String, Member>>,
}

impl Account {
    /// The jobs that name each agent of a queue, in the order in which they were sent.
    pub fn stories(&self) -> BTreeMap<Place<'_>, Story<'_>> {
        let mut stories: BTreeMap<_, Story<'_>> = BTreeMap::new();
        for sent in &self.sent {
            for (agent, told) in sent.job.agents.iter().zip(&sent.told) {
                let place = (sent.job.queue.as_str(), agent.as_str());
                stories.entry(place).or_default().push((sent, told));
            }
        }
        stories
    }
}

impl Sent {
    /// Of a job that is about to be sent.
    pub fn new(job: Job) -> Sent {
        let slots = job.agents.len().max(1);
        Sent {
            job,
            told: (0..slots).map(|_| Told::default()).collect(),
            letters: 0,
            is_left: false,
            is_lost: false,
        }
    }

    pub fn is_untold(&self) -> bool {
        self.told.iter().any(|told| told.times == 0)
    }
}

impl Told {
    /// Takes note of an outcome.
    pub fn hear(&mut self, id: &str, code: &str, status: &str, attempts: u64) {
        self.times += 1;
        self.attempts = self.attempts.max(attempts);
        self.ids.insert(id.to_owned());
        self.codes.insert(code.to_owned());
        status.clone_into(&mut self.status);
    }
}

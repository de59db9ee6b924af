//! The jobs that flow while things go wrong: a seed decides all of them, and their order.
//!
//! Every agent of a PBX queue lives a short story of one to three jobs, so that the order of its effects can be told
//! from the PBX's log alone.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::oracle::{Action, Job, Kind};

/// Agents of a queue whose story may go on; beyond that the oldest is over.
const STORIES_MAX: usize = 40;

/// Jobs of one agent on one queue.
const CHAPTERS_MAX: usize = 3;

/// Bodies that are no valid jobs, and the code that their outcome must have. `ID` stands for the job id.
const BAD: [(&str, &str); 6] = [
    (r#"{"job_id":"ID","action":"pause""#, "malformed_json"),
    (
        r#"{"job_id":"ID","action":"pause","agent":"1"}"#,
        "missing_field",
    ),
    (
        r#"{"job_id":"ID","action":"dismiss","queue":"1","agent":"1"}"#,
        "unknown_action",
    ),
    (
        r#"{"job_id":"ID","action":"pause","queue":"1 or 2","agent":"1"}"#,
        "bad_value",
    ),
    (
        r#"{"job_id":"ID","action":"remove","queue":"1","agents":[]}"#,
        "bad_value",
    ),
    (
        r#"{"job_id":"ID","action":"pause","queue":"1","agent":"1","not_before":"2030-01-01T00:00:00Z"}"#,
        "unsupported_field",
    ),
];

#[derive(Debug)]
struct Story {
    agent: String,
    /// Jobs so far.
    chapters: usize,
}

/// All jobs of a seed, without end.
#[derive(Debug)]
pub struct Jobs {
    rng: Rng,
    seed: u64,
    queues: usize,
    number: usize,
    agents: usize,
    /// By queue, the agents whose story may go on.
    stories: BTreeMap<usize, Vec<Story>>,
}

impl Jobs {
    pub fn new(seed: u64, queues: usize) -> Jobs {
        Jobs {
            rng: Rng::with_seed(seed),
            seed,
            queues,
            number: 0,
            agents: 0,
            stories: BTreeMap::new(),
        }
    }

    pub fn next(&mut self) -> Job {
        let kind = match self.rng.u32(0..100) {
            0..=4 => Kind::Repeated,
            5 => Kind::DryRun,
            6 => Kind::Expired,
            7 => Kind::Expiring(Duration::from_millis(self.rng.u64(200..5_000))),
            8 | 9 => Kind::Bad(BAD[self.rng.usize(0..BAD.len())].1),
            _ => Kind::Sound,
        };
        let queue = self.rng.usize(0..self.queues);
        let company = match (kind, self.rng.u32(0..10)) {
            (Kind::Bad(_), _) => 0,
            (_, 0) => self.rng.usize(2..=8),
            _ => 1,
        };
        let mut agents: Vec<String> = Vec::with_capacity(company);
        while agents.len() < company {
            let agent = self.agent(queue);
            if !agents.contains(&agent) {
                agents.push(agent);
            }
        }
        self.number += 1;
        Job {
            number: self.number - 1,
            kind,
            action: if self.rng.u32(0..5) < 3 {
                Action::Pause
            } else {
                Action::Remove
            },
            queue: (10_000 + queue).to_string(),
            agents,
        }
    }

    /// One of the queue's latest agents, or a new one.
    fn agent(&mut self, queue: usize) -> String {
        let stories = self.stories.entry(queue).or_default();
        stories.retain(|story| story.chapters < CHAPTERS_MAX);
        let place = self.rng.usize(0..=STORIES_MAX);
        if let Some(story) = stories.get_mut(place).filter(|_| self.rng.bool()) {
            story.chapters += 1;
            return story.agent.clone();
        }
        if stories.len() >= STORIES_MAX {
            stories.remove(0);
        }
        self.agents += 1;
        let agent = (100_000 + self.agents).to_string();
        stories.push(Story {
            agent: agent.clone(),
            chapters: 1,
        });
        agent
    }

    pub fn id(&self, job: &Job) -> String {
        format!("{}-{}", self.seed, job.number)
    }
}

/// The number of the job with this id.
pub fn number(seed: u64, id: &str) -> Option<usize> {
    id.strip_prefix(&seed.to_string())?
        .strip_prefix('-')?
        .parse()
        .ok()
}

/// The number of the job with this body, be it a valid one or not.
pub fn number_in(seed: u64, body: &[u8]) -> Option<usize> {
    let text = str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(r#""job_id":""#)?;
    number(seed, rest.split('"').next()?)
}

/// The message of a job that is published now; the same bytes whenever it is published again.
pub fn body(job: &Job, id: &str) -> Vec<u8> {
    if let Kind::Bad(code) = job.kind {
        let bodies: Vec<_> = BAD.iter().filter(|(_, of)| *of == code).collect();
        return bodies[job.number % bodies.len()]
            .0
            .replace("ID", id)
            .into_bytes();
    }
    let now = Timestamp::now();
    let expires_at = match job.kind {
        Kind::Expired => Some(now - Duration::from_secs(1)),
        Kind::Expiring(after) => Some(now + after),
        _ => None,
    };
    let (named, agents): (_, Value) = match job.agents.as_slice() {
        [agent] => ("agent", agent.as_str().into()),
        agents => ("agents", agents.into()),
    };
    json!({
        "job_id": id,
        "action": job.action.as_str(),
        "queue": job.queue,
        (named): agents,
        "requested_at": now.to_string(),
        "expires_at": expires_at.map(|at| at.to_string()),
        "dry_run": job.kind == Kind::DryRun,
        "reason": "shift end",
    })
    .to_string()
    .into_bytes()
}

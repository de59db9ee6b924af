//! A whole shift end, cast from [`super::story`] by a seed: the jobs, the PBX they meet, and how each must end.
//!
//! Pure: the same numbers make the same plan.

use std::collections::BTreeMap;

use clockout::broker::client::Message;
use clockout::engine::job::{Agent, BadNumber, PbxQueue};
use clockout::engine::outcome::Code;
use clockout::pbx::sim::{Match, Rule, Seat};
use serde_json::{Value, json};

use super::story::{self, Place, Round, Step, Story};

/// An agent of every PBX queue whom no job names.
const NIGHT_SHIFT: &str = "1999";

/// How large the shift end is, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) jobs: usize,
    pub(super) queues: usize,
    pub(super) seed: u64,
}

/// One agent of one job: what an outcome answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Question {
    pub(super) job_id: String,
    pub(super) agent: String,
}

/// What the answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Any of these is right.
    pub(super) codes: &'static [Code],
    /// How often the job is sent, and so told.
    pub(super) tellings: usize,
}

/// A job to publish, and what it asks.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) message: Message,
    pub(super) questions: Vec<Question>,
}

/// What is published together.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) posts: Vec<Post>,
    /// Outcomes that must have been told when it is over, counted from the beginning.
    pub(super) tellings: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) acts: Vec<Act>,
    pub(super) answers: BTreeMap<Question, Answer>,
    /// Where every agent must be in the end.
    pub(super) ends: Vec<(Seat, Place)>,
    /// Who is a member in the beginning.
    pub(super) members: Vec<Seat>,
    pub(super) faults: Vec<Rule>,
}

impl Plan {
    pub(super) fn new(size: Size) -> Result<Self, BadNumber> {
        let mut plan = Self {
            acts: Vec::new(),
            answers: BTreeMap::new(),
            ends: Vec::new(),
            members: Vec::new(),
            faults: Vec::new(),
        };
        let mut random = fastrand::Rng::with_seed(size.seed);
        let mut cast = cast(size.jobs);
        random.shuffle(&mut cast);
        let roles: Vec<Role<'_>> = cast
            .iter()
            .enumerate()
            .map(|(index, story)| Role::new(story, index, size.queues))
            .collect();
        for role in &roles {
            plan.seat(role)?;
        }
        let mut tellings = 0;
        for round in Round::ALL {
            let mut posts = Vec::new();
            for role in &roles {
                let steps = role.story.jobs.iter();
                posts.extend(
                    steps
                        .filter(|step| step.round == round)
                        .map(|step| role.post(step)),
                );
            }
            tellings += posts
                .iter()
                .map(|post: &Post| post.questions.len())
                .sum::<usize>();
            plan.acts.push(Act { posts, tellings });
        }
        Ok(plan)
    }

    pub(super) fn jobs(&self) -> usize {
        self.acts.iter().map(|act| act.posts.len()).sum()
    }

    /// How many outcomes are to be told in all.
    pub(super) fn tellings(&self) -> usize {
        self.acts.last().map_or(0, |act| act.tellings)
    }

    fn seat(&mut self, role: &Role<'_>) -> Result<(), BadNumber> {
        let story = role.story;
        let queue = PbxQueue::parse(&role.queue)?;
        if story.queue.is_none() {
            // The simulated PBX knows a queue by its members, so somebody stays who has no story.
            self.members.push((queue, Agent::parse(NIGHT_SHIFT)?));
        }
        for number in &role.agents {
            let seat = (queue, Agent::parse(number)?);
            self.ends.push((seat, story.ends));
            if story.begins == Place::Working {
                self.members.push(seat);
            }
            if let Some(trouble) = &story.trouble {
                self.faults.push(Rule {
                    matching: Match {
                        action: Some(trouble.at),
                        queue: Some(role.queue.clone()),
                        agent: Some(number.clone()),
                        probability: None,
                    },
                    times: trouble.times,
                    effect: trouble.effect.clone(),
                });
            }
        }
        for step in &story.jobs {
            for question in role.questions(step) {
                let answer = self.answers.entry(question).or_insert(Answer {
                    codes: step.codes,
                    tellings: 0,
                });
                answer.tellings += 1;
            }
        }
        Ok(())
    }
}

/// The stories of `jobs` jobs: the unusual ones as far as they fit, then the usual.
fn cast(jobs: usize) -> Vec<Story> {
    let mut left = jobs;
    let mut cast = Vec::new();
    let unusual = story::unusual()
        .into_iter()
        .flat_map(|story| std::iter::repeat_n(story.clone(), story.times));
    let usual = std::iter::repeat_n(story::shift_end(), jobs);
    for story in unusual.chain(usual) {
        if story.jobs.len() <= left {
            left -= story.jobs.len();
            cast.push(story);
        }
    }
    cast.extend(std::iter::repeat_n(story::on_a_break(), left));
    cast
}

/// A story and whom it happens to.
struct Role<'s> {
    story: &'s Story,
    queue: String,
    agents: Vec<String>,
}

impl<'s> Role<'s> {
    /// Deals the stories out over the PBX queues in turn.
    fn new(story: &'s Story, index: usize, queues: usize) -> Self {
        const QUEUE_FIRST: usize = 10_000;
        const AGENT_FIRST: usize = 2_000;
        let queue = QUEUE_FIRST + index % queues;
        let agent = AGENT_FIRST + index / queues;
        let agents = match story.agents {
            1 => vec![agent.to_string()],
            several => (1..=several).map(|n| format!("{agent}-{n}")).collect(),
        };
        Self {
            story,
            queue: story.queue.map_or(queue.to_string(), ToOwned::to_owned),
            agents,
        }
    }

    fn job_id(&self, step: &Step) -> String {
        let agent = self.agents.first().map_or("", String::as_str);
        let (story, queue) = (self.story.name, &self.queue);
        format!("{story}/{queue}/{agent}/{}", step.action)
    }

    fn questions(&self, step: &Step) -> impl Iterator<Item = Question> {
        let job_id = self.job_id(step);
        self.agents.iter().map(move |agent| Question {
            job_id: job_id.clone(),
            agent: agent.clone(),
        })
    }

    fn post(&self, step: &Step) -> Post {
        let mut job = json!({
            "job_id": self.job_id(step),
            "action": step.action,
            "queue": self.queue,
            "reason": "shift end",
        });
        let agents = match self.agents.as_slice() {
            [agent] => ("agent".to_owned(), json!(agent)),
            agents => ("agents".to_owned(), json!(agents)),
        };
        if let (Value::Object(job), Value::Object(fields)) = (&mut job, &step.fields) {
            job.extend([agents]);
            job.extend(fields.clone());
        }
        Post {
            message: Message {
                routing_key: self.queue.clone(),
                body: job.to_string().into_bytes(),
                message_id: None,
            },
            questions: self.questions(step).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        jobs: 1_200,
        queues: 30,
        seed: 7,
    };

    #[test]
    fn a_plan_has_as_many_jobs_as_asked_for_on_as_many_queues() {
        for (jobs, queues) in [(1_200, 30), (121, 1), (100, 7), (1, 3)] {
            let size = Size {
                jobs,
                queues,
                ..SIZE
            };
            let plan = Plan::new(size).unwrap();
            assert_eq!(plan.jobs(), jobs);
            let mut used: Vec<_> = plan.members.iter().map(|(queue, _)| *queue).collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), queues.min(jobs), "{jobs} jobs");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_one_another() {
        let bodies = |seed| -> Vec<Vec<u8>> {
            let acts = Plan::new(Size { seed, ..SIZE }).unwrap().acts;
            let posts = acts.into_iter().flat_map(|act| act.posts);
            posts.map(|post| post.message.body).collect()
        };
        assert_eq!(bodies(1), bodies(1));
        assert_ne!(bodies(1), bodies(2));
    }

    #[test]
    fn every_code_that_a_pbx_or_a_job_can_cause_has_its_story() {
        let plan = Plan::new(SIZE).unwrap();
        let codes: Vec<Code> = plan
            .answers
            .values()
            .flat_map(|a| a.codes.iter().copied())
            .collect();
        let beside = [
            Code::ForbiddenByPolicy,
            Code::MalformedJson,
            Code::MissingField,
            Code::BadValue,
            Code::UnsupportedField,
            Code::TooLarge,
        ];
        for code in Code::ALL {
            assert_ne!(codes.contains(&code), beside.contains(&code), "{code}");
        }
    }

    #[test]
    fn what_is_sent_twice_is_asked_once_and_told_twice() {
        let plan = Plan::new(SIZE).unwrap();
        let twice = plan
            .answers
            .iter()
            .filter(|(_, answer)| answer.tellings == 2);
        let twice: Vec<_> = twice.map(|(question, _)| &question.job_id).collect();
        assert_eq!(twice.len(), 3);
        assert!(twice.iter().all(|id| id.starts_with("sent-twice/")));
        let tellings: usize = plan.answers.values().map(|answer| answer.tellings).sum();
        assert_eq!(plan.tellings(), tellings);
    }
}

//! What can happen to an agent at a shift end, and how each of it must end: the demonstration's stories.
//!
//! Where timing decides between two ends, both are right, and the PBX has the last word.

use std::fmt;

use clockout::engine::outcome::Code;
use clockout::pbx::sim::{CallFault, Effect, ItemFault, Member, RetryAfter, Verb};
use serde_json::{Value, json};

/// Jobs are published in rounds; each begins when everything of the one before is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    /// Dry runs, whose outcomes show that the worker is there.
    Greeting,
    Pauses,
    Removes,
}

impl Round {
    pub(super) const ALL: [Self; 3] = [Self::Greeting, Self::Pauses, Self::Removes];
}

/// Where an agent stands with a PBX queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Working,
    Paused,
    Gone,
}

impl Place {
    pub(super) fn of(member: Option<Member>) -> Self {
        match member.filter(|member| member.member) {
            None => Self::Gone,
            Some(member) if member.paused => Self::Paused,
            Some(_) => Self::Working,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Paused => "paused",
            Self::Gone => "gone",
        })
    }
}

/// What happens to one agent, or to a few that share their jobs.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) name: &'static str,
    /// How many agents, or groups of agents, it happens to.
    pub(super) times: usize,
    /// Agents per job.
    pub(super) agents: usize,
    /// The PBX queue, if it is none of the shift's.
    pub(super) queue: Option<&'static str>,
    pub(super) begins: Place,
    pub(super) jobs: Vec<Step>,
    pub(super) trouble: Option<Trouble>,
    pub(super) ends: Place,
}

/// What goes wrong at the PBX for an agent of the story.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) at: Verb,
    /// `None`: always.
    pub(super) times: Option<u64>,
    pub(super) effect: Effect,
}

/// One job of a story.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) round: Round,
    pub(super) action: &'static str,
    /// Any of these is right.
    pub(super) codes: &'static [Code],
    /// Fields on top of the usual ones: an object.
    pub(super) fields: Value,
}

impl Step {
    fn with(self, fields: Value) -> Self {
        Self { fields, ..self }
    }

    fn in_round(self, round: Round) -> Self {
        Self { round, ..self }
    }
}

fn pause(codes: &'static [Code]) -> Step {
    Step {
        round: Round::Pauses,
        action: "pause",
        codes,
        fields: json!({}),
    }
}

fn remove(codes: &'static [Code]) -> Step {
    Step {
        round: Round::Removes,
        action: "remove",
        codes,
        fields: json!({}),
    }
}

const PAUSED: &[Code] = &[Code::Applied];
/// On a busy machine any call may outlast `pbx.timeout`; the remove is then found to have been applied.
const REMOVED: &[Code] = &[Code::Applied, Code::PresumedApplied];
const ABSENT: &[Code] = &[Code::AlreadyAbsent, Code::PresumedApplied];

impl Story {
    fn new<const N: usize>(name: &'static str, times: usize, jobs: [Step; N], ends: Place) -> Self {
        Self {
            name,
            times,
            agents: 1,
            queue: None,
            begins: Place::Working,
            jobs: jobs.into(),
            trouble: None,
            ends,
        }
    }

    fn always(self, at: Verb, effect: Effect) -> Self {
        self.troubled(at, None, effect)
    }

    fn at_first(self, at: Verb, times: u64, effect: Effect) -> Self {
        self.troubled(at, Some(times), effect)
    }

    fn troubled(self, at: Verb, times: Option<u64>, effect: Effect) -> Self {
        let trouble = Some(Trouble { at, times, effect });
        Self { trouble, ..self }
    }

    fn absent(self) -> Self {
        let begins = Place::Gone;
        Self { begins, ..self }
    }
}

fn fails(text: &str) -> Effect {
    let text = text.to_owned();
    Effect::Item(ItemFault::Fail { text })
}

/// The usual: paused when the shift ends, then removed.
pub(super) fn shift_end() -> Story {
    Story::new(
        "shift-end",
        1,
        [pause(PAUSED), remove(REMOVED)],
        Place::Gone,
    )
}

/// An agent on a break: paused, and stays.
pub(super) fn on_a_break() -> Story {
    Story::new("on-a-break", 1, [pause(PAUSED)], Place::Paused)
}

/// A few of everything that is not the usual; the first of them is the greeting.
pub(super) fn unusual() -> Vec<Story> {
    let mut stories = odd_jobs();
    stories.extend(odd_agents());
    stories.extend(odd_calls());
    stories
}

/// The job itself is out of the ordinary.
fn odd_jobs() -> Vec<Story> {
    let rehearsed = remove(&[Code::DryRun])
        .with(json!({"dry_run": true}))
        .in_round(Round::Greeting);
    let replaced = pause(&[Code::Superseded, Code::Applied]).in_round(Round::Removes);
    let expired = pause(&[Code::Expired]).with(json!({"expires_at": "2020-01-01T00:00:00Z"}));
    let asked_at = |time: &str| json!({"requested_at": time, "expires_at": "9999-12-31T23:59:59Z"});
    let newer = pause(PAUSED).with(asked_at("2026-01-01T17:00:00Z"));
    let older = remove(&[Code::Superseded]).with(asked_at("2026-01-01T16:59:00Z"));
    let resent = pause(PAUSED).in_round(Round::Removes);
    let unknown = Step {
        action: "dismiss",
        ..pause(&[Code::UnknownAction])
    };
    let team = shift_end();
    vec![
        Story::new("dry-run", 2, [rehearsed], Place::Working),
        Story::new("replaced", 5, [replaced, remove(REMOVED)], Place::Gone),
        Story::new("too-late", 3, [expired], Place::Working),
        Story::new("overtaken", 3, [newer, older], Place::Paused),
        Story::new("sent-twice", 3, [pause(PAUSED), resent], Place::Paused),
        Story::new("not-understood", 2, [unknown], Place::Working),
        Story {
            name: "team",
            times: 3,
            agents: 4,
            ..team
        },
    ]
}

/// The PBX has something to say about the agent.
fn odd_agents() -> Vec<Story> {
    let left_out = |applied| Effect::Item(ItemFault::Missing { applied });
    // A call of another agent's that fails in doubt takes this one along.
    let exhausted = remove(&[Code::Exhausted, Code::Ambiguous]);
    let unreported = pause(&[Code::Unreported, Code::Ambiguous]);
    let nowhere = Story::new(
        "no-such-queue",
        2,
        [remove(&[Code::NoSuchQueue])],
        Place::Gone,
    );
    let back_soon = || [pause(PAUSED), remove(REMOVED)];
    vec![
        Story::new("already-gone", 5, [remove(ABSENT)], Place::Gone).absent(),
        Story::new("no-member", 4, [pause(&[Code::NotMember])], Place::Gone).absent(),
        Story {
            queue: Some("99999"),
            ..nowhere.absent()
        },
        Story::new("fixed", 3, [remove(&[Code::NotDynamic])], Place::Working)
            .always(Verb::Remove, fails("Member not dynamic")),
        Story::new("busy", 5, back_soon(), Place::Gone).at_first(
            Verb::Pause,
            2,
            fails("Operation failed, try again"),
        ),
        Story::new("busy-for-good", 2, [exhausted], Place::Working)
            .always(Verb::Remove, fails("Operation failed")),
        Story::new("refused", 3, [pause(&[Code::Rejected])], Place::Working)
            .always(Verb::Pause, fails("Agent is locked")),
        Story::new("left-out", 3, back_soon(), Place::Gone).at_first(
            Verb::Pause,
            1,
            left_out(true),
        ),
        Story::new("left-out-for-good", 2, [unreported], Place::Working)
            .always(Verb::Pause, left_out(false)),
    ]
}

/// The whole call goes wrong, and takes the agent's neighbours along. Once each, so that even with a single PBX queue
/// nobody's attempts run out.
fn odd_calls() -> Vec<Story> {
    let story = |name| Story {
        name,
        ..shift_end()
    };
    let refused = CallFault::RefuseBatch {
        http: 200,
        text: "Unable to process this agent".to_owned(),
    };
    let overloaded = CallFault::Status {
        code: 503,
        retry_after: Some(RetryAfter::Seconds(1)),
        body: String::new(),
    };
    let hang = CallFault::Hang { applied: false };
    let garbled = CallFault::Garbage { applied: true };
    let once = |story: Story, verb, fault| story.at_first(verb, 1, Effect::Call(fault));
    vec![
        Story::new("poison", 1, [pause(&[Code::Rejected])], Place::Working)
            .always(Verb::Pause, Effect::Call(refused)),
        once(story("overloaded"), Verb::Pause, overloaded),
        once(story("hung-up"), Verb::Pause, CallFault::DropBefore),
        once(story("no-answer"), Verb::Pause, hang),
        once(story("answer-lost"), Verb::Remove, CallFault::DropAfter),
        once(story("answer-garbled"), Verb::Remove, garbled),
    ]
}

//! What came back from the PBX, and what follows for each agent (CONTRACT §3).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::job::{Action, Agent, PbxQueue};
use super::outcome::{BatchRef, Code};

/// How one call ended. The shell decides which it is; the engine decides what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// HTTP 2xx with a readable envelope: `success` true, or items present. Agents that it does not name are unreported.
    Answered(Vec<ItemAnswer>),
    /// The batch as a whole was refused (200 with `success` false and no items, 400 and other 4xx not named elsewhere).
    Refused { message: Arc<str> },
    /// Nothing was applied, and trying again later is right (connect refused, 408, 425, 429, 5xx; a refusal whose text is in the retry list).
    Transient {
        message: Arc<str>,
        retry_after: Option<Duration>,
    },
    /// It may have been applied (timeout or reset after the request was written; 2xx with a body that cannot be read).
    Ambiguous { message: Arc<str> },
    /// Wrong for every job alike (401, 403, 404, 405, 415, 501, any 3xx): the PBX or its settings.
    Fault {
        message: Arc<str>,
        retry_after: Option<Duration>,
    },
}

impl CallResult {
    /// A name for each of them.
    pub const KINDS: [&str; 5] = ["answered", "refused", "transient", "ambiguous", "fault"];

    /// Which it is: one of [`CallResult::KINDS`].
    pub fn kind(&self) -> &'static str {
        let [answered, refused, transient, ambiguous, fault] = Self::KINDS;
        match self {
            Self::Answered(_) => answered,
            Self::Refused { .. } => refused,
            Self::Transient { .. } => transient,
            Self::Ambiguous { .. } => ambiguous,
            Self::Fault { .. } => fault,
        }
    }

    /// The PBX's own text, or what went wrong, if it was not answered agent by agent.
    pub fn message(&self) -> Option<&Arc<str>> {
        match self {
            Self::Answered(_) => None,
            Self::Refused { message }
            | Self::Transient { message, .. }
            | Self::Ambiguous { message }
            | Self::Fault { message, .. } => Some(message),
        }
    }
}

/// What the PBX said of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAnswer {
    pub queue: PbxQueue,
    pub agent: Agent,
    pub answer: Answer,
    /// The PBX's own text; `None` if it gave none.
    pub message: Option<Arc<str>>,
}

/// The meaning of one item, its text already looked up in `[pbx.texts]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `ok` true.
    Done,
    /// The agent is no member of the queue.
    Absent,
    NoSuchQueue,
    NotDynamic,
    /// In the retry list: this item only.
    Busy,
    /// Any other text, or none.
    Refused,
}

impl Answer {
    /// Whether the agent is now as `action` wants it: who is absent need not be removed.
    pub fn achieves(self, action: Action) -> bool {
        match self {
            Self::Done => true,
            Self::Absent => match action {
                Action::Remove => true,
                Action::Pause => false,
            },
            Self::NoSuchQueue | Self::NotDynamic | Self::Busy | Self::Refused => false,
        }
    }
}

/// What is known so far of one agent of one job.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Calls that held this agent for this job: an outcome's `attempts`.
    pub(super) calls: u32,
    /// Those of them that use up `retry.attempts_max`.
    pub(super) counted: u32,
    pub(super) batch: Option<BatchRef>,
    /// A call may have been applied without an answer coming back.
    pub(super) in_doubt: bool,
    /// The PBX refused this agent once, for no reason that we know.
    pub(super) refused: bool,
}

impl Progress {
    /// How it ends if it is called no more.
    pub(super) fn give_up(&self) -> Code {
        if self.in_doubt {
            Code::Ambiguous
        } else {
            Code::Exhausted
        }
    }
}

/// What one call said of one agent.
#[derive(Debug, Clone)]
pub(super) enum Report {
    Item {
        answer: Answer,
        message: Option<Arc<str>>,
    },
    Unreported,
    /// Refused as a batch of one.
    RefusedAlone {
        message: Arc<str>,
    },
    Transient {
        message: Arc<str>,
    },
    Ambiguous {
        message: Arc<str>,
    },
}

/// What follows for one agent of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    End {
        code: Code,
        message: Option<Arc<str>>,
    },
    Again,
}

/// Decides one agent of one job after a call that `progress` already counts.
pub(super) fn judge(
    action: Action,
    report: &Report,
    progress: &mut Progress,
    attempts_max: NonZeroU32,
) -> Verdict {
    let spent = progress.counted >= attempts_max.get();
    let end = |code, message: &Option<Arc<str>>| Verdict::End {
        code,
        message: message.clone(),
    };
    let again_or = |code, message: &Option<Arc<str>>, in_doubt: bool| match (spent, in_doubt) {
        (false, _) => Verdict::Again,
        // Whatever the last call said, an earlier one may have been applied.
        (true, true) => end(Code::Ambiguous, message),
        (true, false) => end(code, message),
    };
    match report {
        Report::Item { answer, message } => match answer {
            Answer::Done => end(Code::Applied, message),
            Answer::Absent => end(absent(action, progress.in_doubt), message),
            Answer::NoSuchQueue => end(Code::NoSuchQueue, message),
            Answer::NotDynamic => end(Code::NotDynamic, message),
            Answer::Busy => again_or(Code::Exhausted, message, progress.in_doubt),
            Answer::Refused if progress.refused || spent => end(Code::Rejected, message),
            Answer::Refused => {
                progress.refused = true;
                Verdict::Again
            }
        },
        Report::Unreported => {
            let message = Some("the PBX's reply did not name this agent".into());
            again_or(Code::Unreported, &message, progress.in_doubt)
        }
        Report::RefusedAlone { message } => end(Code::Rejected, &Some(Arc::clone(message))),
        Report::Transient { message } => again_or(
            Code::Exhausted,
            &Some(Arc::clone(message)),
            progress.in_doubt,
        ),
        Report::Ambiguous { message } => {
            progress.in_doubt = true;
            again_or(Code::Ambiguous, &Some(Arc::clone(message)), true)
        }
    }
}

/// What "no such member" means. A remove that may have been applied before has most likely been.
fn absent(action: Action, in_doubt: bool) -> Code {
    match (action, in_doubt) {
        (Action::Pause, _) => Code::NotMember,
        (Action::Remove, false) => Code::AlreadyAbsent,
        (Action::Remove, true) => Code::PresumedApplied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    fn item(answer: Answer) -> Report {
        Report::Item {
            answer,
            message: Some("text".into()),
        }
    }

    fn code(action: Action, report: &Report, mut progress: Progress) -> Option<Code> {
        match judge(action, report, &mut progress, THREE) {
            Verdict::End { code, .. } => Some(code),
            Verdict::Again => None,
        }
    }

    #[test]
    fn an_absent_agent_need_not_be_removed() {
        assert!(Answer::Absent.achieves(Action::Remove));
        assert!(!Answer::Absent.achieves(Action::Pause));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table, a row each")]
    fn contract_3_each_row_of_the_table_for_one_agent() {
        use Action::{Pause, Remove};
        let first = || Progress {
            calls: 1,
            counted: 1,
            ..Progress::default()
        };
        let last = || Progress {
            calls: 3,
            counted: 3,
            ..Progress::default()
        };
        let doubtful = |progress| Progress {
            in_doubt: true,
            ..progress
        };
        let text = || Arc::from("text");
        for (action, report, progress, expected) in [
            (Pause, item(Answer::Done), first(), Some(Code::Applied)),
            (Remove, item(Answer::Done), first(), Some(Code::Applied)),
            (
                Remove,
                item(Answer::Absent),
                first(),
                Some(Code::AlreadyAbsent),
            ),
            (
                Remove,
                item(Answer::Absent),
                doubtful(first()),
                Some(Code::PresumedApplied),
            ),
            (
                Pause,
                item(Answer::Absent),
                doubtful(first()),
                Some(Code::NotMember),
            ),
            (
                Pause,
                item(Answer::NoSuchQueue),
                first(),
                Some(Code::NoSuchQueue),
            ),
            (
                Remove,
                item(Answer::NotDynamic),
                first(),
                Some(Code::NotDynamic),
            ),
            (Pause, item(Answer::Busy), first(), None),
            (Pause, item(Answer::Busy), last(), Some(Code::Exhausted)),
            (Pause, item(Answer::Refused), first(), None),
            (Pause, Report::Unreported, first(), None),
            (Pause, Report::Unreported, last(), Some(Code::Unreported)),
            (
                Pause,
                Report::RefusedAlone { message: text() },
                first(),
                Some(Code::Rejected),
            ),
            (Pause, Report::Transient { message: text() }, first(), None),
            (
                Pause,
                Report::Transient { message: text() },
                last(),
                Some(Code::Exhausted),
            ),
            (
                Pause,
                Report::Transient { message: text() },
                doubtful(last()),
                Some(Code::Ambiguous),
            ),
            (Remove, Report::Ambiguous { message: text() }, first(), None),
            (
                Remove,
                Report::Ambiguous { message: text() },
                last(),
                Some(Code::Ambiguous),
            ),
        ] {
            assert_eq!(
                code(action, &report, progress.clone()),
                expected,
                "{action} {report:?} {progress:?}"
            );
        }
    }

    #[test]
    fn an_unknown_refusal_is_tried_once_more_and_then_believed() {
        let mut progress = Progress {
            calls: 1,
            counted: 1,
            ..Progress::default()
        };
        assert_eq!(
            judge(Action::Pause, &item(Answer::Refused), &mut progress, THREE),
            Verdict::Again
        );
        assert_eq!(
            code(Action::Pause, &item(Answer::Refused), progress),
            Some(Code::Rejected)
        );
    }
}

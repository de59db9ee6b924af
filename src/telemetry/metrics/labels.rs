//! The label sets: every value from a closed enum of the engine, or from a list here.

use prometheus_client::encoding::EncodeLabelSet;

use crate::engine::Disposition;
use crate::engine::batch::Cause;
use crate::engine::job::Action;
use crate::engine::outcome::{Code, Status};
use crate::engine::verdict::CallResult;

/// The label of an action that could not be read.
const NO_ACTION: &str = "_";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Settled {
    pub(super) disposition: &'static str,
}

impl Settled {
    const ACK: Self = Self { disposition: "ack" };
    const GIVE_BACK: Self = Self {
        disposition: "give_back",
    };
    pub(super) const LOST: Self = Self {
        disposition: "lost",
    };
    pub(super) const ALL: [Self; 3] = [Self::ACK, Self::GIVE_BACK, Self::LOST];

    pub(super) fn as_told(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Ack => Self::ACK,
            Disposition::GiveBack => Self::GIVE_BACK,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Concluded {
    action: &'static str,
    pub(super) status: &'static str,
    code: &'static str,
}

impl Concluded {
    pub(super) fn new(action: Option<Action>, code: Code) -> Self {
        Self {
            action: action.map_or(NO_ACTION, Action::as_str),
            status: code.status().as_str(),
            code: code.as_str(),
        }
    }

    /// Every combination that CONTRACT §3 and §5 allow.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let actions = [None, Some(Action::Pause), Some(Action::Remove)];
        actions.into_iter().flat_map(|action| {
            let codes = Code::ALL
                .into_iter()
                .filter(move |&code| is_possible(action, code));
            codes.map(move |code| Self::new(action, code))
        })
    }
}

fn is_possible(action: Option<Action>, code: Code) -> bool {
    match action {
        None => code.status() == Status::Invalid,
        Some(Action::Pause) => !matches!(code, Code::AlreadyAbsent | Code::PresumedApplied),
        Some(Action::Remove) => code != Code::NotMember,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Called {
    action: &'static str,
    result: &'static str,
}

impl Called {
    pub(super) fn new(action: Action, result: &CallResult) -> Self {
        Self {
            action: action.as_str(),
            result: result.kind(),
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        Action::ALL.into_iter().flat_map(|action| {
            CallResult::KINDS.map(|result| Self {
                action: action.as_str(),
                result,
            })
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAction {
    action: &'static str,
}

impl OfAction {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action: action.as_str(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Left {
    action: &'static str,
    cause: &'static str,
}

impl Left {
    pub(super) fn new(action: Action, cause: Cause) -> Self {
        Self {
            action: action.as_str(),
            cause: cause.as_str(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfCode {
    code: &'static str,
}

impl OfCode {
    pub(super) fn new(code: Code) -> Self {
        Self {
            code: code.as_str(),
        }
    }

    /// The codes with which a job becomes a dead letter.
    pub(super) fn buried() -> impl Iterator<Item = Self> {
        let codes = Code::ALL
            .into_iter()
            .filter(|code| code.status().is_buried());
        codes.map(Self::new)
    }
}

/// What became of spans.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Spans {
    result: &'static str,
}

impl Spans {
    pub(super) const EXPORTED: Self = Self { result: "exported" };
    pub(super) const DROPPED: Self = Self { result: "dropped" };
    pub(super) const ALL: [Self; 2] = [Self::EXPORTED, Self::DROPPED];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    version: &'static str,
}

impl Build {
    pub(super) const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
    };
}

//! What became of one agent of one job: status and code as closed sets (CONTRACT §5).

use std::fmt;
use std::sync::Arc;

use super::batch::BatchId;
use super::job::{Action, Agent, Echo, Job, JobId, OutcomeId, PbxQueue, Target, Timestamp};

/// What a consumer branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Succeeded,
    Failed,
    Superseded,
    Expired,
    Invalid,
    Unknown,
    DryRun,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Superseded,
        Self::Expired,
        Self::Invalid,
        Self::Unknown,
        Self::DryRun,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::DryRun => "dry_run",
        }
    }

    /// Whether the agent may be where nobody wants it, and no newer wish is the cause.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::Unknown | Self::Invalid | Self::Expired => true,
            Self::Succeeded | Self::Superseded | Self::DryRun => false,
        }
    }

    /// Whether a job that ends so also becomes a dead letter (CONTRACT §6).
    pub fn is_buried(self) -> bool {
        match self {
            Self::Failed | Self::Unknown | Self::Invalid => true,
            Self::Succeeded | Self::Superseded | Self::Expired | Self::DryRun => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why; each code belongs to exactly one [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    Applied,
    AlreadyAbsent,
    PresumedApplied,
    NotMember,
    NoSuchQueue,
    NotDynamic,
    Rejected,
    Exhausted,
    ForbiddenByPolicy,
    Superseded,
    Expired,
    MalformedJson,
    MissingField,
    BadValue,
    UnknownAction,
    UnsupportedField,
    TooLarge,
    Unreported,
    Ambiguous,
    DryRun,
}

impl Code {
    pub const ALL: [Self; 20] = [
        Self::Applied,
        Self::AlreadyAbsent,
        Self::PresumedApplied,
        Self::NotMember,
        Self::NoSuchQueue,
        Self::NotDynamic,
        Self::Rejected,
        Self::Exhausted,
        Self::ForbiddenByPolicy,
        Self::Superseded,
        Self::Expired,
        Self::MalformedJson,
        Self::MissingField,
        Self::BadValue,
        Self::UnknownAction,
        Self::UnsupportedField,
        Self::TooLarge,
        Self::Unreported,
        Self::Ambiguous,
        Self::DryRun,
    ];

    pub fn status(self) -> Status {
        match self {
            Self::Applied | Self::AlreadyAbsent | Self::PresumedApplied => Status::Succeeded,
            Self::NotMember
            | Self::NoSuchQueue
            | Self::NotDynamic
            | Self::Rejected
            | Self::Exhausted
            | Self::ForbiddenByPolicy => Status::Failed,
            Self::Superseded => Status::Superseded,
            Self::Expired => Status::Expired,
            Self::MalformedJson
            | Self::MissingField
            | Self::BadValue
            | Self::UnknownAction
            | Self::UnsupportedField
            | Self::TooLarge => Status::Invalid,
            Self::Unreported | Self::Ambiguous => Status::Unknown,
            Self::DryRun => Status::DryRun,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AlreadyAbsent => "already_absent",
            Self::PresumedApplied => "presumed_applied",
            Self::NotMember => "not_member",
            Self::NoSuchQueue => "no_such_queue",
            Self::NotDynamic => "not_dynamic",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::ForbiddenByPolicy => "forbidden_by_policy",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::MalformedJson => "malformed_json",
            Self::MissingField => "missing_field",
            Self::BadValue => "bad_value",
            Self::UnknownAction => "unknown_action",
            Self::UnsupportedField => "unsupported_field",
            Self::TooLarge => "too_large",
            Self::Unreported => "unreported",
            Self::Ambiguous => "ambiguous",
            Self::DryRun => "dry_run",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The last call that held an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRef {
    pub id: BatchId,
    /// Agents in the call.
    pub size: u32,
}

/// How one agent of one job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    pub code: Code,
    /// The PBX's own text, or what was wrong, in words.
    pub message: Option<Arc<str>>,
    /// PBX calls that held this agent for this job.
    pub attempts: u32,
    pub batch: Option<BatchRef>,
    pub superseded_by: Option<JobId>,
    pub completed_at: Timestamp,
}

/// What consumers are told: one per job and agent, or one for a message that is no valid job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub id: OutcomeId,
    /// `None`, here and below: the message was no valid job and this could not be read of it.
    pub job_id: Option<JobId>,
    pub action: Option<Action>,
    pub queue: Option<PbxQueue>,
    pub agent: Option<Agent>,
    pub dry_run: bool,
    pub requested_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub echo: Arc<Echo>,
    pub conclusion: Conclusion,
}

impl Outcome {
    pub fn of(job: &Job, target: Target, conclusion: Conclusion) -> Self {
        Self {
            id: target.outcome_id,
            job_id: Some(job.id.clone()),
            action: Some(job.action),
            queue: Some(job.queue),
            agent: Some(target.agent),
            dry_run: job.dry_run,
            requested_at: job.requested_at,
            received_at: job.received_at,
            echo: Arc::clone(&job.echo),
            conclusion,
        }
    }

    pub fn status(&self) -> Status {
        self.conclusion.code.status()
    }
}

#[cfg(test)]
impl Outcome {
    /// An outcome of the agent at `position`, to test with.
    pub(super) fn sample(job: &Job, position: usize, code: Code, attempts: u32) -> Arc<Self> {
        let (message, batch, superseded_by) = (None, None, None);
        let completed_at = Timestamp(0);
        let conclusion = Conclusion {
            code,
            message,
            attempts,
            batch,
            superseded_by,
            completed_at,
        };
        Arc::new(Self::of(job, job.targets()[position], conclusion))
    }
}

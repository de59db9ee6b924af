//! Outcomes: what may be told of an agent, given what the PBX answered (CONTRACT §3–5).

use std::sync::Arc;
use std::time::Duration;

use clockout::engine::job::{Action, Job};
use clockout::engine::outcome::{Code, Conclusion, Outcome};
use clockout::engine::verdict::Answer;

use super::obligation::{Obligation, Seen, attempts_max};
use super::{Moment, Obligations};

/// Checks that this outcome may be told, and takes note that it was. `shed`: whether it may come before the attempts are used up.
/// Returns whether it did.
pub(super) fn judge(
    moment: Moment<'_>,
    obligations: &mut Obligations,
    outcome: &Outcome,
    shed: bool,
) -> bool {
    let Some(obligation) = obligations.get(&outcome.id) else {
        panic!("an outcome with an invented id: {outcome:?}")
    };
    let conclusion = &outcome.conclusion;
    check_echo(obligation, outcome);
    if let Some(told) = &obligation.told {
        assert_eq!(
            told, conclusion,
            "told differently the second time: {outcome:?}"
        );
        return false;
    }
    let early = !may_end(moment, obligation, conclusion, obligations);
    let right = !early || (shed && may_be_given_up(obligation, conclusion));
    assert!(right, "{conclusion:?} does not follow from {obligation}");
    check_counts(obligation, conclusion);
    let ended = obligation
        .ended
        .unwrap_or_else(|| end(moment, obligation, conclusion));
    if let Some(obligation) = obligations.get_mut(&outcome.id) {
        obligation.told = Some(conclusion.clone());
        obligation.ended = Some(ended);
    }
    early
}

fn check_echo(obligation: &Obligation, outcome: &Outcome) {
    let Job {
        id,
        action,
        queue,
        dry_run,
        ..
    } = &*obligation.job;
    let said = (
        outcome.job_id.as_ref(),
        outcome.action,
        outcome.queue,
        outcome.agent,
    );
    assert_eq!(
        said,
        (
            Some(id),
            Some(*action),
            Some(*queue),
            Some(obligation.agent)
        )
    );
    assert_eq!(outcome.dry_run, *dry_run, "dry_run of {outcome:?}");
}

/// When a job ended that ends by what is told: earlier than now, if no delivery was there then to be told.
fn end(moment: Moment<'_>, obligation: &Obligation, conclusion: &Conclusion) -> Duration {
    let (now, at) = (moment.now, conclusion.completed_at);
    let called = obligation.attempts.last().map(|attempt| attempt.ended);
    assert!(
        called.is_none_or(|called| called <= at) && at <= now.wall,
        "{conclusion:?} ended before its last call did, or after now: {obligation}"
    );
    let ago = u64::try_from(now.wall.0 - at.0).unwrap_or_default();
    now.elapsed.saturating_sub(Duration::from_millis(ago))
}

/// `attempts` counts the calls that held this agent for this job, and `batch` is the last of them.
fn check_counts(obligation: &Obligation, conclusion: &Conclusion) {
    let attempts = &obligation.attempts;
    let said = usize::try_from(conclusion.attempts).unwrap_or(usize::MAX);
    let certain = attempts.iter().filter(|attempt| attempt.certain).count();
    let right = (certain..=attempts.len()).contains(&said);
    assert!(
        right,
        "{certain} attempts at least, but {conclusion:?}: {obligation}"
    );
    if certain == attempts.len() {
        let last = attempts.last().map(|attempt| attempt.batch);
        assert_eq!(conclusion.batch, last, "batch of {conclusion:?}");
    }
}

/// Whether a job may end so.
fn may_end(moment: Moment<'_>, o: &Obligation, conclusion: &Conclusion, all: &Obligations) -> bool {
    let item = |answer| o.last_seen() == Some(Seen::Item(answer));
    let (may_be_in_doubt, in_doubt) = (o.saw(Seen::Ambiguous), o.saw_for_certain(Seen::Ambiguous));
    let given_up = o.counted() >= attempts_max(moment.settings);
    let removes = o.job.action == Action::Remove;
    match conclusion.code {
        Code::Applied => item(Answer::Done),
        Code::AlreadyAbsent => removes && item(Answer::Absent) && !in_doubt,
        Code::PresumedApplied => removes && item(Answer::Absent) && may_be_in_doubt,
        Code::NotMember => !removes && item(Answer::Absent),
        Code::NoSuchQueue => item(Answer::NoSuchQueue),
        Code::NotDynamic => item(Answer::NotDynamic),
        Code::Rejected => is_rejected(o, given_up) && keeps_the_text(o, conclusion),
        Code::Exhausted => {
            let transient = item(Answer::Busy) || o.last_seen() == Some(Seen::Transient);
            given_up && transient && !in_doubt
        }
        Code::Unreported => given_up && o.last_seen() == Some(Seen::Unreported) && !in_doubt,
        Code::Ambiguous => given_up && may_be_in_doubt,
        Code::ForbiddenByPolicy => !o.is_permitted(moment.settings),
        Code::Superseded => all.values().any(|by| is_superseded(o, by, conclusion)),
        Code::Expired => o.is_expired(moment.now),
        Code::DryRun => o.job.dry_run,
        Code::MalformedJson
        | Code::MissingField
        | Code::BadValue
        | Code::UnknownAction
        | Code::UnsupportedField
        | Code::TooLarge => false,
    }
}

/// What is called no more may have been applied if a call is in doubt, and was not if none is.
fn may_be_given_up(o: &Obligation, conclusion: &Conclusion) -> bool {
    let not_applied = conclusion.code == Code::Exhausted && !o.saw_for_certain(Seen::Ambiguous);
    let in_doubt = conclusion.code == Code::Ambiguous && o.saw(Seen::Ambiguous);
    not_applied || in_doubt
}

/// The PBX refused it twice by name, or in its last attempt, or once as a batch of its own.
fn is_rejected(o: &Obligation, given_up: bool) -> bool {
    let refused = Seen::Item(Answer::Refused);
    let times = o
        .attempts
        .iter()
        .filter(|attempt| attempt.seen == refused)
        .count();
    let by_name = o.last_seen() == Some(refused) && (times >= 2 || given_up);
    by_name || o.last_seen() == Some(Seen::RefusedAlone)
}

fn keeps_the_text(o: &Obligation, conclusion: &Conclusion) -> bool {
    let said: Option<Arc<str>> = o
        .attempts
        .last()
        .and_then(|attempt| attempt.message.clone());
    said == conclusion.message
}

/// A newer request was there before it, or a pause's remove came after it and succeeded.
fn is_superseded(o: &Obligation, by: &Obligation, conclusion: &Conclusion) -> bool {
    let newer = by
        .lives()
        .any(|life| life.first_arrival < o.first_arrival && life.requested_at > o.job.requested_at);
    let absent = [Answer::Done, Answer::Absent].map(|answer| Some(Seen::Item(answer)));
    let replaced = by.first_arrival > o.first_arrival
        && (o.job.action, by.job.action) == (Action::Pause, Action::Remove)
        && absent.contains(&by.last_seen());
    let named = conclusion.superseded_by.as_ref() == Some(&by.job.id);
    by.is_at(&o.job, o.agent) && named && (newer || replaced)
}

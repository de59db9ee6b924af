//! What the PBX was asked for each agent, beside what was told of it: order, effects, and calls for nothing.
//!
//! A crash may repeat what was not acknowledged, from some job of the agent on, but never an earlier job alone. So what an
//! agent's calls must show is its jobs in their order, with runs of one action taken as one; the last call is that of the
//! last job; and no pause comes before the removes that were asked for before the first pause. (A remove may come before
//! an earlier pause: it replaced that, until a crash brought both back.) Where a jobs queue is deleted, with what was told
//! and not yet acknowledged, it may end the repeats that a crash had begun.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Account, Action, Broken, Job, Kind, Member, Pbx, Place, Promise, Sent, Told};

/// Longest between a job's last outcome and the moment in which a repeat of it, after a crash, is under way.
const REPEATED_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn judge(account: &Account, pbx: &Pbx) -> Vec<Broken> {
    let mut calls: BTreeMap<Place<'_>, Vec<Action>> = BTreeMap::new();
    for call in &pbx.calls {
        for agent in &call.agents {
            let queue = call.queues.first().map_or("", String::as_str);
            calls.entry((queue, agent)).or_default().push(call.action);
        }
    }
    let mut broken = Vec::new();
    for ((queue, agent), story) in account.stories() {
        let calls = calls.remove(&(queue, agent)).unwrap_or_default();
        let member = pbx.members.get(queue).and_then(|agents| agents.get(agent));
        for promise in judge_agent(&story, &calls, member.copied(), &account.deletions) {
            let story: Vec<String> = story.iter().map(chapter).collect();
            let how =
                format!("queue {queue} agent {agent}: called {calls:?}, {member:?}; {story:?}");
            broken.push(Broken {
                promise,
                place: Some((queue.to_owned(), agent.to_owned())),
                how,
            });
        }
    }
    let nobody = calls.into_keys();
    broken.extend(nobody.map(|place| Broken::new(Promise::NoNeedlessCall, format!("{place:?}"))));
    broken
}

/// The agents of whom neither order nor end is judged, as it cannot be from outside.
pub fn left_open(account: &Account) -> BTreeSet<Place<'_>> {
    let stories = account.stories().into_iter();
    let open = stories.filter(|(_, story)| is_left_open(story));
    open.map(|(place, _)| place).collect()
}

/// A remove that replaced a pause and then failed leaves the pause to be carried out after it; from outside nobody sees which.
/// And a job that is sent again late is carried out again or not, as the worker remembers it or not.
fn is_left_open(story: &[(&Sent, &Told)]) -> bool {
    let may_have_failed = |(sent, told): &(&Sent, &Told)| {
        sent.job.action == Action::Remove
            && is_for_the_pbx(sent)
            && !told.codes.iter().all(|code| is_final(code))
    };
    let is_sent_late = |(_, told): &(&Sent, &Told)| told.is_sent_late;
    story.iter().any(may_have_failed) || story.iter().any(is_sent_late)
}

/// The others end before they could wait for a call.
fn is_for_the_pbx(sent: &Sent) -> bool {
    !matches!(sent.job.kind, Kind::DryRun | Kind::Expired)
}

fn judge_agent(
    story: &[(&Sent, &Told)],
    calls: &[Action],
    member: Option<Member>,
    deletions: &[Instant],
) -> Vec<Promise> {
    let mut broken = Vec::new();
    let wanted = |action| {
        let mut jobs = story.iter().filter(|(sent, _)| sent.job.action == action);
        jobs.any(|(sent, _)| is_for_the_pbx(sent))
    };
    if calls.iter().any(|action| !wanted(*action)) {
        broken.push(Promise::NoNeedlessCall);
    }
    let told_of_no_call = |(sent, told): &(&Sent, &Told)| {
        told.codes.iter().any(|code| is_answered(code)) && !calls.contains(&sent.job.action)
    };
    if story.iter().any(told_of_no_call) {
        broken.push(Promise::Effect);
    }
    if is_left_open(story) {
        return broken;
    }
    let answered: Vec<Action> = story
        .iter()
        .filter(|(_, told)| has_its_turn(told))
        .map(|(sent, _)| sent.job.action)
        .collect();
    if !is_within(&in_runs(&answered), &in_runs(calls)) || pauses_too_early(story, calls) {
        broken.push(Promise::Order);
    }
    let Some((sent, told)) = decisive(story) else {
        return broken;
    };
    if deletions
        .iter()
        .any(|deleted| may_cut_short(*deleted, told))
    {
        return broken;
    }
    if calls.last() != Some(&sent.job.action) {
        broken.push(Promise::Order);
    }
    let shows = |member: Member| match sent.job.action {
        Action::Pause => member.paused,
        Action::Remove => !member.member,
    };
    let is_done = told.codes.len() == 1 && told.status == "succeeded";
    if is_done && !member.is_some_and(shows) {
        broken.push(Promise::Effect);
    }
    broken
}

/// Whether the PBX answered for it in its place among the agent's jobs. What was also told as superseded had another turn in one
/// life of the worker than in the next: a crash makes it forget what it has replaced, and what was newer.
fn has_its_turn(told: &Told) -> bool {
    !told.codes.contains("superseded") && told.codes.iter().any(|code| is_answered(code))
}

/// The job of whose action the last call must be, if one can be named. What was tried and not answered may have reached the PBX or
/// not; and what was told as expired, from that job on, may have been called before a crash brought it back too late.
fn decisive<'s>(story: &[(&'s Sent, &'s Told)]) -> Option<(&'s Sent, &'s Told)> {
    let last = story.iter().rposition(|(_, told)| told.attempts > 0)?;
    let from_there = story.get(last..)?;
    let (sent, told) = from_there.first()?;
    let mut for_the_pbx = from_there.iter().filter(|(sent, _)| is_for_the_pbx(sent));
    let has_expired = for_the_pbx.any(|(_, told)| told.codes.contains("expired"));
    (has_its_turn(told) && !has_expired).then_some((*sent, *told))
}

/// Whether what was told may have been under way again, without being told again, when jobs queues were deleted.
fn may_cut_short(deleted: Instant, told: &Told) -> bool {
    let since = told
        .last_at
        .and_then(|at| deleted.checked_duration_since(at));
    since.is_some_and(|since| since < REPEATED_WITHIN)
}

/// Whether the first call is a pause, though a remove was asked for before the first pause and is carried out, too.
fn pauses_too_early(story: &[(&Sent, &Told)], calls: &[Action]) -> bool {
    let is_pause = |(sent, _): &&(&Sent, &Told)| sent.job.action == Action::Pause;
    let mut before = story.iter().take_while(|chapter| !is_pause(chapter));
    let removes = before.any(|(_, told)| told.codes.iter().all(|code| is_answered(code)));
    removes && calls.first() == Some(&Action::Pause)
}

/// In words.
fn chapter((sent, told): &(&Sent, &Told)) -> String {
    let Job {
        number,
        action,
        kind,
        ..
    } = &sent.job;
    let Told {
        codes,
        attempts,
        times,
        ..
    } = told;
    format!("{action:?} of job {number} ({kind:?}): told {codes:?} {times} times, {attempts} calls")
}

/// The PBX has answered for this agent.
fn is_answered(code: &str) -> bool {
    [
        "applied",
        "already_absent",
        "presumed_applied",
        "not_member",
        "rejected",
    ]
    .contains(&code)
}

/// A remove that ends so replaces an earlier pause for good.
fn is_final(code: &str) -> bool {
    [
        "applied",
        "already_absent",
        "presumed_applied",
        "superseded",
    ]
    .contains(&code)
}

fn in_runs(actions: &[Action]) -> Vec<Action> {
    let mut runs = actions.to_vec();
    runs.dedup();
    runs
}

/// Whether the calls hold these actions, in this order.
fn is_within(actions: &[Action], calls: &[Action]) -> bool {
    let mut calls = calls.iter();
    actions
        .iter()
        .all(|action| calls.any(|call| call == action))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Action = Action::Pause;
    const REMOVE: Action = Action::Remove;

    /// A job's action, and the codes that its outcomes had.
    type Done<'c> = (Action, &'c [&'c str]);

    fn judged(jobs: [Done<'_>; 2], calls: &[Action]) -> Vec<Promise> {
        judged_beside(jobs, calls, None)
    }

    /// With a deletion of jobs queues so long after the outcomes.
    fn judged_beside(
        jobs: [Done<'_>; 2],
        calls: &[Action],
        deleted_after: Option<Duration>,
    ) -> Vec<Promise> {
        let told_at = Instant::now();
        let deletions: Vec<Instant> = deleted_after.iter().map(|after| told_at + *after).collect();
        let jobs = jobs.map(|(action, codes)| {
            let job = Job {
                number: 0,
                kind: Kind::Sound,
                action,
                queue: "1".to_owned(),
                agents: vec!["1".to_owned()],
            };
            let told = Told {
                codes: codes.iter().map(|code| (*code).to_owned()).collect(),
                status: "succeeded".to_owned(),
                attempts: codes.iter().filter(|code| is_answered(code)).count() as u64,
                times: codes.len(),
                last_at: Some(told_at),
                ..Told::default()
            };
            (Sent::new(job), told)
        });
        let story: Vec<_> = jobs.iter().map(|(sent, told)| (sent, told)).collect();
        let member = Member {
            member: false,
            paused: true,
        };
        judge_agent(&story, calls, Some(member), &deletions)
    }

    fn applied(jobs: [Action; 2], calls: &[Action]) -> Vec<Promise> {
        judged(jobs.map(|action| (action, &["applied"][..])), calls)
    }

    #[test]
    fn a_pause_before_an_earlier_remove_is_seen_and_a_remove_that_replaced_a_pause_is_no_fault() {
        assert!(applied([REMOVE, PAUSE], &[REMOVE, PAUSE]).is_empty());
        assert_eq!(
            applied([REMOVE, PAUSE], &[PAUSE]),
            [Promise::Effect, Promise::Order]
        );
        assert_eq!(
            applied([REMOVE, PAUSE], &[PAUSE, REMOVE, PAUSE]),
            [Promise::Order]
        );
        assert!(applied([PAUSE, REMOVE], &[REMOVE, PAUSE, REMOVE]).is_empty());
    }

    #[test]
    fn the_last_call_is_the_last_jobs_unless_that_came_back_when_its_time_was_up() {
        let remove = (REMOVE, &["applied", "already_absent"][..]);
        let calls = [REMOVE, PAUSE, REMOVE];
        let in_time = judged([remove, (PAUSE, &["not_member"])], &calls);
        assert_eq!(in_time, [Promise::Order]);
        let too_late = judged([remove, (PAUSE, &["not_member", "expired"])], &calls);
        assert!(too_late.is_empty());
    }

    #[test]
    fn a_job_that_expired_after_the_last_one_may_have_been_called_before_a_crash() {
        let remove = (REMOVE, &["applied"][..]);
        let told = |code| judged([remove, (PAUSE, &[code])], &[REMOVE, PAUSE]);
        assert!(told("expired").is_empty());
        assert_eq!(told("superseded"), [Promise::Order]);
    }

    #[test]
    fn a_job_that_had_been_superseded_may_come_after_what_follows_it_but_was_called() {
        let both = &["superseded", "applied"][..];
        let calls = [PAUSE, REMOVE, PAUSE];
        let remove = |codes, calls| judged([(REMOVE, codes), (PAUSE, &["applied"])], calls);
        assert!(remove(both, &calls).is_empty());
        assert_eq!(remove(&["applied"], &calls), [Promise::Order]);
        assert_eq!(remove(both, &[PAUSE]), [Promise::Effect]);
        let pause = |codes| {
            judged(
                [(PAUSE, codes), (REMOVE, &["applied"])],
                &[REMOVE, PAUSE, REMOVE],
            )
        };
        assert!(pause(both).is_empty());
    }

    #[test]
    fn a_remove_that_failed_leaves_its_agent_open_and_one_that_the_pbx_never_heard_of_does_not() {
        let is_left_open = |kind, code: &str| {
            let job = Job {
                number: 0,
                kind,
                action: REMOVE,
                queue: "1".to_owned(),
                agents: vec!["1".to_owned()],
            };
            let told = Told {
                codes: [code.to_owned()].into(),
                ..Told::default()
            };
            is_left_open(&[(&Sent::new(job), &told)])
        };
        assert!(is_left_open(Kind::Sound, "rejected"));
        assert!(!is_left_open(Kind::Sound, "applied"));
        assert!(!is_left_open(Kind::DryRun, "dry_run"));
        assert!(!is_left_open(Kind::Expired, "expired"));
    }

    #[test]
    fn a_deleted_queue_may_end_what_a_crash_repeats_and_nothing_that_was_told_long_before() {
        let jobs = [(REMOVE, &["applied"][..]), (PAUSE, &["not_member"])];
        let repeated = [REMOVE, PAUSE, REMOVE];
        let deleted_after = |seconds| Some(Duration::from_secs(seconds));
        assert!(judged_beside(jobs, &repeated, deleted_after(2)).is_empty());
        let much_later = judged_beside(jobs, &repeated, deleted_after(60));
        assert_eq!(much_later, [Promise::Order]);
        let reversed = judged_beside(jobs, &[PAUSE, REMOVE], deleted_after(2));
        assert_eq!(reversed, [Promise::Order]);
    }
}

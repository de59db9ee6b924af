//! The sections that the engine decides by.

use std::num::NonZeroU32;

use crate::engine::job::{Action, PbxQueue};
use crate::engine::{BreakerSettings, Policy, RetrySettings, Settings};
use crate::settings::check::Check;
use crate::settings::problem::shown;
use crate::settings::raw::{self, Raw};

pub(super) fn settings(raw: &Raw, check: &mut Check) -> Option<Settings> {
    let prefetch = check.count("jobs.prefetch", raw.jobs.prefetch, raw::PREFETCH_MAX);
    let dedup_window = check.duration("jobs.dedup_window", &raw.jobs.dedup_window);
    let max_in_flight = check.count(
        "pbx.max_in_flight",
        raw.pbx.max_in_flight,
        raw::IN_FLIGHT_MAX,
    );
    let max_calls_per_second = calls_per_second(raw.pbx.max_calls_per_second, check);
    let max_agents = check.count("batch.max_agents", raw.batch.max_agents, raw::AGENTS_MAX);
    let linger = check.duration("batch.linger", &raw.batch.linger);
    let retry = retry(&raw.retry, check);
    let breaker = breaker(&raw.breaker, check);
    let policy = policy(&raw.policy, check);
    let hold_unroutable = hold_unroutable(&raw.results.unroutable, check);
    Some(Settings {
        prefetch: prefetch?,
        dedup_window: dedup_window?,
        max_in_flight: max_in_flight?,
        max_calls_per_second,
        max_agents: max_agents?,
        linger: linger?,
        retry: retry?,
        breaker: breaker?,
        policy,
        hold_unroutable: hold_unroutable?,
    })
}

/// `None`: no limit.
fn calls_per_second(value: i64, check: &mut Check) -> Option<NonZeroU32> {
    match value {
        0 => None,
        _ => check.count("pbx.max_calls_per_second", value, raw::CALLS_PER_SECOND_MAX),
    }
}

fn retry(raw: &raw::Retry, check: &mut Check) -> Option<RetrySettings> {
    let initial = check.wait("retry.initial", &raw.initial);
    let max = check.wait("retry.max", &raw.max);
    if initial > max && max.is_some() {
        let wrong = format_args!("is {}, shorter than retry.initial", shown(&raw.max));
        check.refuse(
            "retry.max",
            wrong,
            format_args!("at least {}", shown(&raw.initial)),
        );
    }
    let multiplier = raw.multiplier;
    let multiplier_fits = (1.0..=raw::MULTIPLIER_MAX).contains(&multiplier);
    if !multiplier_fits {
        let expected = format_args!("a number from 1.0 to {:.1}", raw::MULTIPLIER_MAX);
        check.refuse(
            "retry.multiplier",
            format_args!("is {multiplier}"),
            expected,
        );
    }
    let attempts_max = check.count("retry.attempts_max", raw.attempts_max, raw::ATTEMPTS_MAX);
    Some(RetrySettings {
        initial: initial?,
        multiplier,
        max: max?,
        attempts_max: attempts_max?,
    })
}

fn breaker(raw: &raw::Breaker, check: &mut Check) -> Option<BreakerSettings> {
    let failures = check.count("breaker.failures", raw.failures, raw::FAILURES_MAX);
    let cooldown = check.wait("breaker.cooldown", &raw.cooldown);
    let cooldown_max = check.wait("breaker.cooldown_max", &raw.cooldown_max);
    if cooldown > cooldown_max && cooldown_max.is_some() {
        let wrong = format_args!(
            "is {}, shorter than breaker.cooldown",
            shown(&raw.cooldown_max)
        );
        check.refuse(
            "breaker.cooldown_max",
            wrong,
            format_args!("at least {}", shown(&raw.cooldown)),
        );
    }
    let hold_max = check.wait("breaker.hold_max", &raw.hold_max);
    Some(BreakerSettings {
        failures: failures?,
        cooldown: cooldown?,
        cooldown_max: cooldown_max?,
        hold_max: hold_max?,
    })
}

fn policy(raw: &raw::Policy, check: &mut Check) -> Policy {
    for action in &raw.actions {
        let known = Action::ALL
            .into_iter()
            .find(|known| known.as_str() == action);
        check.known(
            "policy.actions",
            action,
            known,
            "a list of \"pause\" and \"remove\"",
        );
    }
    let allows = |action: Action| raw.actions.iter().any(|name| name == action.as_str());
    Policy {
        pause: allows(Action::Pause),
        remove: allows(Action::Remove),
        remove_queues: remove_queues(&raw.remove_queues, check),
        dry_run: raw.dry_run,
    }
}

/// `None`: all of them.
fn remove_queues(raw: &[String], check: &mut Check) -> Option<Vec<PbxQueue>> {
    const KEY: &str = "policy.remove_queues";
    if raw == ["*"] {
        return None;
    }
    if raw.iter().any(|queue| queue == "*") {
        check.refuse(
            KEY,
            "holds \"*\" and more",
            "[\"*\"] alone, or PBX queue numbers",
        );
    }
    let expected = "[\"*\"], or PBX queue numbers: 1 to 32 characters of 0-9 A-Z a-z * # _ + -";
    let queues = raw.iter();
    let queues =
        queues.filter_map(|queue| check.known(KEY, queue, PbxQueue::parse(queue).ok(), expected));
    Some(queues.collect())
}

fn hold_unroutable(text: &str, check: &mut Check) -> Option<bool> {
    let hold = match text {
        "hold" => Some(true),
        "discard" => Some(false),
        _ => None,
    };
    check.known("results.unroutable", text, hold, "\"hold\" or \"discard\"")
}

//! The sections about RabbitMQ.

use std::num::NonZeroU16;
use std::time::Duration;

use super::amqp;
use crate::broker::{Names, Settings};
use crate::settings::check::Check;
use crate::settings::problem::shown;
use crate::settings::raw;

/// The raw sections that this is about.
pub(super) struct Sections {
    pub(super) amqp: raw::Amqp,
    pub(super) jobs: raw::Jobs,
    pub(super) results: raw::Results,
    pub(super) dead: raw::Dead,
    pub(super) declare: bool,
    /// What is known of `watchdog.patience`.
    pub(super) patience: Option<Duration>,
}

/// How often the broker side tells how it stands before the watchdog loses its patience.
const PULSES_PER_PATIENCE: u32 = 4;

pub(super) fn settings(
    raw: Sections,
    worker_name: Option<&str>,
    check: &mut Check,
) -> Option<Settings> {
    let prefetch = raw.jobs.prefetch;
    let delivery_limit = check.count(
        "jobs.delivery_limit",
        raw.jobs.delivery_limit,
        raw::JOBS_DELIVERY_LIMIT_MAX,
    );
    let amqp = amqp::read(raw.amqp, check);
    let pulse_every = raw.patience.map(|patience| patience / PULSES_PER_PATIENCE);
    let names = names(raw.jobs, raw.results, raw.dead, check);
    let (addresses, tls) = amqp?;
    Some(Settings {
        addresses,
        tls,
        names: names?,
        declare: raw.declare,
        // What does not fit was noted with the engine's settings.
        prefetch: u16::try_from(prefetch).ok()?.try_into().ok()?,
        delivery_limit: delivery_limit?,
        connection_name: format!("clockout {}", worker_name?),
        pulse_every: pulse_every?,
    })
}

fn names(
    jobs: raw::Jobs,
    results: raw::Results,
    dead: raw::Dead,
    check: &mut Check,
) -> Option<Names> {
    let exchanges = [
        ("jobs.exchange", &jobs.exchange),
        ("results.exchange", &results.exchange),
        ("dead.exchange", &dead.exchange),
    ];
    let queues = [
        ("jobs.queue", &jobs.queue),
        ("results.queue", &results.queue),
        ("dead.queue", &dead.queue),
    ];
    refuse_same(&exchanges, check);
    refuse_same(&queues, check);
    let shards = shards(&jobs, check);
    let jobs_exchange = check.amqp_name("jobs.exchange", jobs.exchange);
    let jobs_queue = check.amqp_name("jobs.queue", jobs.queue);
    let results_exchange = check.amqp_name("results.exchange", results.exchange);
    let results_queue = match results.queue.as_str() {
        "" => Some(None),
        _ => check.amqp_name("results.queue", results.queue).map(Some),
    };
    let dead_exchange = check.amqp_name("dead.exchange", dead.exchange);
    let dead_queue = check.amqp_name("dead.queue", dead.queue);
    let names = Names {
        jobs_exchange: jobs_exchange?,
        jobs_queue: jobs_queue?,
        shards: shards?,
        results_exchange: results_exchange?,
        results_queue: results_queue?,
        dead_exchange: dead_exchange?,
        dead_queue: dead_queue?,
    };
    refuse_names_of_shards(&names, check);
    Some(names)
}

fn shards(jobs: &raw::Jobs, check: &mut Check) -> Option<NonZeroU16> {
    let shards = check.count("jobs.shards", jobs.shards, raw::JOBS_SHARDS_MAX)?;
    if jobs.shards > jobs.prefetch.max(1) {
        let (shards, prefetch) = (jobs.shards, jobs.prefetch);
        check.refuse(
            "jobs.shards",
            format_args!("is {shards}, and jobs.prefetch is {prefetch}"),
            "at most jobs.prefetch: each shard needs room for one job",
        );
    }
    Some(shards)
}

/// The names of shards, of however many, must be free for them; and those of the shards that are asked for must fit.
fn refuse_names_of_shards(names: &Names, check: &mut Check) {
    let exchange = names.shards_exchange();
    let numbers = (2..=raw::JOBS_SHARDS_MAX).filter_map(|number| u16::try_from(number).ok());
    let shards: Vec<String> = numbers.map(|number| names.shard(number)).collect();
    let exchanges = std::slice::from_ref(&exchange);
    for (key, name, taken) in [
        ("results.exchange", Some(&names.results_exchange), exchanges),
        ("dead.exchange", Some(&names.dead_exchange), exchanges),
        ("results.queue", names.results_queue.as_ref(), &shards),
        ("dead.queue", Some(&names.dead_queue), &shards),
    ] {
        if let Some(name) = name.filter(|name| taken.contains(name)) {
            let wrong = format_args!("is {}, the name of a shard of the jobs", shown(name));
            check.refuse(key, wrong, "another name");
        }
    }
    if names.is_sharded() {
        check.amqp_name("jobs.exchange", exchange.clone());
        check.amqp_name("jobs.queue", names.shard(names.shards.get()));
    }
}

/// Two of the same name would feed the worker its own outcomes or dead letters as jobs.
fn refuse_same(named: &[(&str, &String)], check: &mut Check) {
    for (index, (key, name)) in named.iter().enumerate() {
        let earlier = named
            .iter()
            .take(index)
            .find(|(_, earlier)| earlier == name);
        if let Some((other, _)) = earlier {
            // A default is not to blame for a name that was given.
            let (key, other) = if check.is_given(key) {
                (key, other)
            } else {
                (other, key)
            };
            check.refuse(
                key,
                format_args!("is {}, as is {other}", shown(name)),
                "another name",
            );
        }
    }
}

//! The deterministic simulation: the engine against a model broker and a model PBX, in virtual time, from a seed.
//!
//! Promise guarded here: whatever fails, and in whatever order, clockout keeps the invariants of the crate's first page;
//! and once the failing stops, everything drains. A seed decides everything, so a failure replays: it prints the command.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a simulation that finds a broken promise says so and stops"
)]

mod broker;
mod faults;
#[path = "../support/given.rs"]
mod given;
mod onlooker;
mod oracle;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "it serves chaos too"
)]
#[path = "../oracle/mod.rs"]
mod outside;
mod pbx;
mod producer;
mod world;

use clockout::engine::batch::Cause;
use clockout::engine::outcome::{Code, Status};
use given::given;
use onlooker::Judged;
use oracle::{Met, Rarity};

/// Seeds that once broke a promise, each with a sentence about what it found.
const REGRESSIONS: &str = include_str!("seeds.txt");

/// Enough for every fault to meet every other.
const SEEDS: u64 = 1_000;

/// Says how to replay a seed, if the run of it panics.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "\nseed {0} broke a promise; replay it with: make sim SEED={0}\n",
                self.0
            );
        }
    }
}

fn run(seed: u64, trace: bool) -> Met {
    let _replay = Replay(seed);
    world::run(seed, trace)
}

#[test]
fn every_seed_keeps_every_promise_and_drains() {
    if let Some(seed) = given("CLOCKOUT_SIM_SEED") {
        run(seed, true);
        return;
    }
    for seed in 0..given("CLOCKOUT_SIM_SEEDS").unwrap_or(SEEDS) {
        run(seed, false);
    }
}

#[test]
fn seeds_that_once_failed_hold() {
    for line in REGRESSIONS.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().map(str::parse);
        let Some(Ok(seed)) = seed else {
            panic!("seeds.txt: no seed in {line:?}")
        };
        run(seed, false);
    }
}

#[test]
fn the_seeds_meet_every_outcome_and_every_kind_of_batch_and_most_agents_are_judged_from_outside() {
    let mut met = Met::default();
    for seed in 0..SEEDS {
        let Met {
            codes,
            causes,
            rarities,
            judged,
        } = run(seed, false);
        met.codes.extend(codes);
        met.causes.extend(causes);
        met.rarities.extend(rarities);
        met.judged.agents += judged.agents;
        met.judged.left_open += judged.left_open;
    }
    let missed: Vec<Code> = Code::ALL
        .into_iter()
        .filter(|code| code.status() != Status::Invalid && !met.codes.contains(code))
        .collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
    let missed: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|cause| !met.causes.contains(cause))
        .collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
    let Judged { agents, left_open } = met.judged;
    assert!(agents > left_open, "{left_open} left open, {agents} judged");
    let missed: Vec<Rarity> = Rarity::ALL
        .into_iter()
        .filter(|rarity| !met.rarities.contains(rarity))
        .collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
}

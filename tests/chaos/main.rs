//! Chaos: a real RabbitMQ node, the real binary as a process, the simulated PBX over HTTP, a faulty link to each; and
//! faults on all sides, drawn from a seed, while jobs flow.
//!
//! Promise guarded here: whatever fails, no outcome is lost or invented and the order of each agent holds; and once the
//! failing stops, everything settles. `make test` runs it short, `make chaos` and `make soak` longer. Times are real, so a
//! seed decides what happens and about when, and a run of it repeats another closely but not to the millisecond.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exit,
    clippy::match_wild_err_arm,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should panic and say where"
)]
#![allow(
    unreachable_pub,
    reason = "in a test binary `pub` says: for the other modules"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read their environment and measure real time"
)]

mod cluster;
mod fault;
mod flow;
#[path = "../support/given.rs"]
mod given;
mod hearing;
mod jobs;
#[path = "../oracle/mod.rs"]
mod oracle;
mod proxy;
mod record;
mod report;
mod run;
mod schedule;
mod strikes;
#[allow(dead_code, unused_imports, reason = "it serves other tests too")]
#[path = "../support/mod.rs"]
mod support;
mod tap;
mod world;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use fault::{Fault, Side};
use futures_util::future::join_all;
use given::given;
use report::{Findings, Report};
use schedule::Schedule;
use world::World;

/// What `make test` can spare: seeds that strike nearly every fault among them.
const SHORT: [u64; 3] = [261, 927, 2770];
const JOBS: usize = 2_000;
const STRIKES: usize = 8;

/// Where nothing but workers may fail, it draws three of them, each way to kill one, and restarts in turn.
const HAND_OVERS: u64 = 1554;

/// Broken promises that are printed; the rest is in the file.
const SHOWN_MAX: usize = 10;

/// How much chaos; each from an environment variable, which `make chaos` and `make soak` set.
struct Asked {
    seeds: Vec<u64>,
    jobs: usize,
    strikes: usize,
    /// No seed begins after this.
    minutes: u64,
    /// Parts of the names of the faults that may strike, between commas; empty: all.
    only: String,
    /// Queues that jobs are spread over; `None`: as the seed draws.
    shards: Option<u16>,
    /// Seeds at a time, each in a world of its own.
    parallel: usize,
    /// Where the report goes, beside standard output: this name with `.md` and `.json`.
    report: Option<PathBuf>,
}

impl Asked {
    fn read() -> Asked {
        let one = given("CLOCKOUT_CHAOS_SEED");
        let seeds: Option<u64> = given("CLOCKOUT_CHAOS_SEEDS");
        let seeds = match (one, seeds) {
            (None, None) => SHORT.to_vec(),
            (first, count) => {
                let first: u64 = first.unwrap_or(0);
                (first..first.saturating_add(count.unwrap_or(1))).collect()
            }
        };
        Asked {
            seeds,
            jobs: given("CLOCKOUT_CHAOS_JOBS").unwrap_or(JOBS),
            strikes: given("CLOCKOUT_CHAOS_STRIKES").unwrap_or(STRIKES),
            minutes: given("CLOCKOUT_CHAOS_MINUTES").unwrap_or(u64::MAX),
            only: given("CLOCKOUT_CHAOS_ONLY").unwrap_or_default(),
            shards: given("CLOCKOUT_CHAOS_SHARDS"),
            parallel: given("CLOCKOUT_CHAOS_PARALLEL").unwrap_or(1),
            report: given("CLOCKOUT_CHAOS_REPORT"),
        }
    }

    /// What `make test` can spare for order from worker to worker: it is judged where nothing else fails and shards keep their jobs.
    fn hand_overs() -> Asked {
        Asked {
            seeds: vec![HAND_OVERS],
            jobs: JOBS,
            // Fewer, as it waits for each worker that ends in good order.
            strikes: 6,
            minutes: u64::MAX,
            only: "worker".to_owned(),
            shards: Some(1),
            parallel: 1,
            report: None,
        }
    }

    fn schedule(&self, seed: u64) -> Schedule {
        Schedule::of(seed, self.strikes, &self.only, self.shards)
    }

    /// To standard output, and to the files that were asked for.
    fn hand_in(&self, report: &Report) {
        println!("\n{report}");
        if let Some(path) = &self.report {
            let json = serde_json::to_string_pretty(report).unwrap();
            fs::write(path.with_extension("json"), json).unwrap();
            fs::write(path.with_extension("md"), report.to_string()).unwrap();
        }
    }

    /// The command that runs this seed alone.
    fn replay(&self, seed: u64) -> String {
        let Asked {
            jobs,
            strikes,
            only,
            shards,
            ..
        } = self;
        let only = if only.is_empty() {
            String::new()
        } else {
            format!(" ONLY='{only}'")
        };
        let shards = shards.map(|shards| format!(" SHARDS={shards}"));
        let shards = shards.unwrap_or_default();
        format!("make chaos SEED={seed} JOBS={jobs} STRIKES={strikes}{only}{shards}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_nothing_is_lost_and_everything_settles() {
    go_through(&Asked::read()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_workers_are_killed_and_restarted_in_turn_order_holds_from_one_to_the_next() {
    go_through(&Asked::hand_overs()).await;
}

async fn go_through(asked: &Asked) {
    let began = Instant::now();
    let world = World::start().await;
    let report = RefCell::new(Report::new(world.version().await));
    let seeds = RefCell::new(asked.seeds.iter().copied());
    let is_over = || began.elapsed().as_secs() / 60 >= asked.minutes;
    let next = || seeds.borrow_mut().next().filter(|_| !is_over());
    let play = async |world: World| {
        while let Some(seed) = next() {
            let schedule = asked.schedule(seed);
            let findings = run::run(&world, seed, &schedule, asked.jobs).await;
            report.borrow_mut().add(&findings);
            assert!(findings.acknowledged > 0, "nobody reads the link");
            println!("seed {seed}: {findings}");
            if !findings.broken.is_empty() {
                asked.hand_in(&report.borrow());
                show_broken(seed, &schedule, &findings);
                panic!(
                    "seed {seed} broke a promise; replay it with: {}",
                    asked.replay(seed)
                );
            }
        }
    };
    let mut worlds = vec![world];
    while worlds.len() < asked.parallel {
        worlds.push(World::start().await);
    }
    join_all(worlds.into_iter().map(play)).await;
    asked.hand_in(&report.borrow());
}

/// Prints what was broken, and leaves all that is known of it in a file.
fn show_broken(seed: u64, schedule: &Schedule, findings: &Findings) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("chaos-seed-{seed}.log"));
    let Findings { broken, logs, .. } = findings;
    fs::write(&path, format!("{schedule:#?}\n{broken:#?}\n{logs}")).unwrap();
    for broken in broken.iter().take(SHOWN_MAX) {
        println!("{}: {}", broken.promise, broken.how);
    }
    println!(
        "{} broken in all; they and the logs: {}",
        broken.len(),
        path.display()
    );
}

#[test]
fn the_seeds_of_make_test_strike_nearly_every_fault() {
    let seeds = SHORT.map(|seed| Schedule::of(seed, STRIKES, "", None));
    let strikes = seeds.iter().flat_map(|seed| &seed.strikes);
    let struck: BTreeSet<String> = strikes
        .flat_map(|strike| &strike.faults)
        .map(ToString::to_string)
        .collect();
    assert!(struck.len() >= Fault::ALL.len() - 5, "{struck:?}");
    let judges_all = |seed: &Schedule| {
        let mut faults = seed.strikes.iter().flat_map(|strike| &strike.faults);
        !faults.any(|fault| seed.breaks_order(*fault))
    };
    assert!(seeds.iter().any(judges_all));
}

#[test]
fn the_hand_overs_of_make_test_are_among_three_workers_and_judged() {
    let schedule = Asked::hand_overs().schedule(HAND_OVERS);
    let faults = schedule.strikes.iter().flat_map(|strike| &strike.faults);
    let struck: BTreeSet<&Fault> = faults.collect();
    let all = Fault::ALL.iter();
    let of_workers = all.filter(|fault| fault.side() == Side::Worker);
    assert!(!struck.iter().any(|fault| schedule.breaks_order(**fault)));
    assert!(struck.into_iter().eq(of_workers));
    assert_eq!(schedule.workers, 3);
}

/// With none of them a suite could miss a mutant, and what it is said to have been caught by would not be so.
#[test]
fn each_mutant_meets_the_faults_that_it_is_said_to_be_caught_by() {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants")).unwrap();
    let mut commands = 0;
    for patch in folder {
        let patch = fs::read_to_string(patch.unwrap().path()).unwrap();
        let Some(command) = patch.lines().find_map(|line| line.strip_prefix("chaos: ")) else {
            continue;
        };
        commands += 1;
        let value = |name: &str| {
            let (_, rest) = command.split_once(&format!("{name}=")).expect(name);
            let (quote, rest) = rest
                .strip_prefix('\'')
                .map_or((' ', rest), |rest| ('\'', rest));
            rest.split(quote).next().unwrap().to_owned()
        };
        let (seed, strikes) = (value("SEED").parse(), value("STRIKES").parse());
        let only = value("ONLY");
        let schedule = Schedule::of(seed.unwrap(), strikes.unwrap(), &only, None);
        let faults = schedule.strikes.iter().flat_map(|strike| &strike.faults);
        let struck: Vec<String> = faults.map(ToString::to_string).collect();
        for part in only.split(',') {
            let is_struck = struck.iter().any(|fault| fault.contains(part));
            assert!(is_struck, "no {part} among {struck:?}: {command}");
        }
    }
    assert_eq!(commands, 4);
}

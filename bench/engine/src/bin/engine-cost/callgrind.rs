//! Runs one scenario under callgrind, a process of its own, and reads what it counted.

use std::env;
use std::fmt;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use clockout_engine_cost::{Rig, Scenario, Tagged};

use super::allocations;
use super::figures::Cost;

/// Where callgrind counts: within this function and what it calls.
const MEASURED: &str = "*settle_under_callgrind*";

/// What one run says of itself; callgrind says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worked {
    allocations: u64,
    held_most: u64,
}

impl fmt::Display for Worked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            allocations,
            held_most,
        } = self;
        write!(f, "{allocations} {held_most}")
    }
}

impl FromStr for Worked {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (allocations, held_most) = text.trim().split_once(' ').context("two numbers")?;
        Ok(Self {
            allocations: allocations.parse()?,
            held_most: held_most.parse()?,
        })
    }
}

/// Lets an engine do the scenario, in this process.
pub(crate) fn work(scenario: Scenario) -> Worked {
    let mut rig = Rig::warm(scenario);
    let mut worked = Worked {
        allocations: 0,
        held_most: 0,
    };
    for _ in 0..scenario.jobs_measured() / scenario.jobs_at_once() {
        let jobs = rig.next_jobs();
        let before = allocations::made();
        settle_under_callgrind(&mut rig, jobs);
        worked.allocations += allocations::made() - before;
    }
    worked.held_most = allocations::held_most();
    worked
}

#[inline(never)]
fn settle_under_callgrind(rig: &mut Rig, jobs: Vec<Tagged>) {
    rig.settle(jobs);
}

/// Lets an engine do the scenario under callgrind.
pub(crate) fn measure(scenario: Scenario) -> Result<Cost> {
    let name = scenario
        .to_possible_value()
        .context("no scenario is hidden")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(env::current_exe()?)
        .args(["work", name.get_name()])
        .output()
        .context("cannot run valgrind; `scripts/ensure valgrind` installs it")?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{} failed:\n{report}", name.get_name());
    }
    let worked: Worked = String::from_utf8_lossy(&output.stdout).parse()?;
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse::<u64>().ok())
        .filter(|count| *count > 0)
        .with_context(|| format!("callgrind counted nothing:\n{report}"))?;
    Ok(Cost::of(
        scenario,
        collected,
        worked.allocations,
        worked.held_most,
    ))
}

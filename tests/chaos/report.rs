//! The figures of all seeds: a table for people, and the same as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::fault::Fault;
use crate::oracle::{Broken, Promise};

/// What was met, over all seeds so far.
#[derive(Debug, Serialize)]
pub struct Report {
    rabbitmq: String,
    seeds: usize,
    jobs: usize,
    /// Outcomes owed: one for each agent of each job.
    agents: usize,
    /// Outcomes heard.
    outcomes: usize,
    pbx_calls: usize,
    /// From the end of the last fault and job until everything was told.
    longest_settling_ms: u128,
    /// Seeds in which order must hold, and an agent told as done must be done.
    judged: usize,
    /// How often that did not hold in the other seeds, where one worker took over from another or jobs got into another shard.
    handed_over: usize,
    /// How often each promise was broken.
    broken: BTreeMap<String, usize>,
    faults: BTreeMap<String, Figures>,
}

/// Of one kind of fault. Where two strike together, each counts.
#[derive(Debug, Default, Clone, Serialize)]
struct Figures {
    times: usize,
    /// Until the next strike.
    repeated_outcomes: usize,
    /// Agents in PBX calls beyond one for each job, until the next strike.
    repeated_calls: usize,
    /// From its end until a job that was sent after it was carried out and told.
    longest_recovery_ms: Option<u128>,
}

/// What one seed came to.
#[derive(Debug)]
pub struct Findings {
    pub jobs: usize,
    pub agents: usize,
    pub outcomes: usize,
    pub pbx_calls: usize,
    pub settling: Duration,
    pub struck: Vec<Struck>,
    pub broken: Vec<Broken>,
    /// How often an agent's order or end was not as it should be; `None`: judged, and among the broken promises.
    pub handed_over: Option<usize>,
    /// What the workers wrote.
    pub logs: String,
}

/// A strike that is over.
#[derive(Debug)]
pub struct Struck {
    pub faults: Vec<Fault>,
    pub repeated_outcomes: usize,
    pub repeated_calls: usize,
    /// `None` if it was not waited for.
    pub recovery: Option<Duration>,
}

impl Report {
    pub fn new(rabbitmq: String) -> Report {
        Report {
            rabbitmq,
            seeds: 0,
            jobs: 0,
            agents: 0,
            outcomes: 0,
            pbx_calls: 0,
            longest_settling_ms: 0,
            judged: 0,
            handed_over: 0,
            broken: Promise::ALL.map(|promise| (promise.to_string(), 0)).into(),
            faults: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, findings: &Findings) {
        self.seeds += 1;
        self.jobs += findings.jobs;
        self.agents += findings.agents;
        self.outcomes += findings.outcomes;
        self.pbx_calls += findings.pbx_calls;
        self.longest_settling_ms = self.longest_settling_ms.max(findings.settling.as_millis());
        match findings.handed_over {
            Some(agents) => self.handed_over += agents,
            None => self.judged += 1,
        }
        for broken in &findings.broken {
            *self.broken.entry(broken.promise.to_string()).or_default() += 1;
        }
        for struck in &findings.struck {
            for fault in &struck.faults {
                let figures = self.faults.entry(fault.to_string()).or_default();
                figures.times += 1;
                figures.repeated_outcomes += struck.repeated_outcomes;
                figures.repeated_calls += struck.repeated_calls;
                let recovery = struck.recovery.map(|recovery| recovery.as_millis());
                figures.longest_recovery_ms = figures.longest_recovery_ms.max(recovery);
            }
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { jobs, outcomes, .. } = self;
        let (settling, broken) = (seconds(self.settling.as_millis()), self.broken.len());
        let faults = self.struck.iter().map(|struck| struck.faults.len());
        let faults: usize = faults.sum();
        write!(
            f,
            "{jobs} jobs, {outcomes} outcomes, {faults} faults, settled in {settling} s; {broken} promises broken"
        )
    }
}

/// In Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| RabbitMQ {} | |\n| --- | --: |", self.rabbitmq)?;
        for (what, count) in [
            ("seeds", self.seeds),
            ("jobs sent", self.jobs),
            ("outcomes owed", self.agents),
            ("outcomes told", self.outcomes),
            ("PBX calls", self.pbx_calls),
            ("seeds in which order and end are judged", self.judged),
            (
                "in the others, how often a hand-over or another shard broke either",
                self.handed_over,
            ),
        ] {
            writeln!(f, "| {what} | {count} |")?;
        }
        for (promise, count) in &self.broken {
            writeln!(f, "| {promise} | **{count}** |")?;
        }
        let settling = seconds(self.longest_settling_ms);
        writeln!(f, "| longest settling, s | {settling} |\n")?;
        writeln!(
            f,
            "| fault | times | outcomes repeated | agents called again | longest recovery, s |\n\
             | --- | --: | --: | --: | --: |"
        )?;
        for (fault, figures) in &self.faults {
            let Figures {
                times,
                repeated_outcomes,
                repeated_calls,
                longest_recovery_ms,
            } = figures;
            let recovery = longest_recovery_ms.map(seconds).unwrap_or_default();
            writeln!(
                f,
                "| {fault} | {times} | {repeated_outcomes} | {repeated_calls} | {recovery} |"
            )?;
        }
        Ok(())
    }
}

fn seconds(ms: u128) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

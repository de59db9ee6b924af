//! The figures of all seeds: a table for people, and the same as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

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
    /// Each looked at as it passed on the link to RabbitMQ.
    acknowledged: usize,
    pbx_calls: usize,
    /// From the end of the last fault and job until everything was told.
    longest_settling_ms: u128,
    /// Agents of PBX queues whose order must hold, and that must be done if told so.
    judged: usize,
    /// Those of them whose jobs several workers took.
    judged_among_several: usize,
    /// Those of whom a remove may have failed: whether it had replaced a pause cannot be seen.
    left_open: usize,
    /// The others: a job of theirs was open when a worker could take over before another had finished, or jobs get into
    /// another shard.
    excused: usize,
    /// How often order or end of these was not as it should be.
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
    pub acknowledged: usize,
    pub pbx_calls: usize,
    pub settling: Duration,
    pub struck: Vec<Struck>,
    pub broken: Vec<Broken>,
    /// As in [`Report`].
    pub judged: usize,
    pub judged_among_several: usize,
    pub left_open: usize,
    pub excused: usize,
    pub handed_over: usize,
    /// What the workers wrote.
    pub logs: String,
}

/// A strike that is over.
#[derive(Debug)]
pub struct Struck {
    pub faults: Vec<Fault>,
    pub began: Instant,
    pub ended: Instant,
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
            acknowledged: 0,
            pbx_calls: 0,
            longest_settling_ms: 0,
            judged: 0,
            judged_among_several: 0,
            left_open: 0,
            excused: 0,
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
        self.acknowledged += findings.acknowledged;
        self.pbx_calls += findings.pbx_calls;
        self.longest_settling_ms = self.longest_settling_ms.max(findings.settling.as_millis());
        self.judged += findings.judged;
        self.judged_among_several += findings.judged_among_several;
        self.left_open += findings.left_open;
        self.excused += findings.excused;
        self.handed_over += findings.handed_over;
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
        let Findings {
            jobs,
            outcomes,
            judged,
            left_open,
            excused,
            handed_over,
            ..
        } = self;
        let (settling, broken) = (seconds(self.settling.as_millis()), self.broken.len());
        let faults = self.struck.iter().map(|struck| struck.faults.len());
        let faults: usize = faults.sum();
        write!(
            f,
            "{jobs} jobs, {outcomes} outcomes, {faults} faults, settled in {settling} s; {judged} agents judged, \
             {left_open} left open, {excused} excused, who were out of order or not as told {handed_over} times; {broken} promises broken"
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
            ("acknowledgements looked at on their way", self.acknowledged),
            ("PBX calls", self.pbx_calls),
            ("agents whose order and end are judged", self.judged),
            (
                "those of them whose jobs several workers took",
                self.judged_among_several,
            ),
            (
                "agents left open, as a remove of theirs may have failed",
                self.left_open,
            ),
            (
                "agents excused, as a job of theirs was open at a hand-over or a move to another shard",
                self.excused,
            ),
            (
                "how often the excused were out of order or not as told",
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

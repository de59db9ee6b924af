//! What the worker says of itself: log lines to standard error, metrics for `/metrics`.
//!
//! Names of metrics and fields stand here, once. Knows the engine's types and nothing of brokers, PBXes or HTTP; no
//! label is ever taken from outside text, and no agent number becomes one.

pub mod log;
pub mod metrics;

pub use log::{Filter, Format, Settings, Switch, init};
pub use metrics::{Metrics, Totals};

/// Metric names, as CONTRACT §9 has them, and what `/metrics` says of each.
pub mod name {
    #[derive(Debug, Clone, Copy)]
    pub struct Described {
        pub name: &'static str,
        /// One sentence without its full stop.
        pub help: &'static str,
    }

    const fn named(name: &'static str, help: &'static str) -> Described {
        Described { name, help }
    }

    pub const JOBS_RECEIVED: Described = named(
        "clockout_jobs_received_total",
        "Jobs taken from the jobs queue",
    );
    pub const JOBS_SETTLED: Described = named(
        "clockout_jobs_settled_total",
        "Jobs acknowledged, given back, or lost with their channel",
    );
    pub const OUTCOMES: Described = named(
        "clockout_outcomes_total",
        "Outcomes that the broker confirmed",
    );
    pub const OUTCOMES_UNROUTABLE: Described = named(
        "clockout_outcomes_unroutable_total",
        "Publishes that no queue took, each try",
    );
    pub const PBX_CALLS: Described = named(
        "clockout_pbx_calls_total",
        "Calls to the PBX, by how they ended",
    );
    pub const PBX_CALL_SECONDS: Described =
        named("clockout_pbx_call_seconds", "Duration of a call to the PBX");
    pub const BATCH_AGENTS: Described = named(
        "clockout_batch_agents",
        "Agents in a call, by why the batch left",
    );
    pub const JOB_SECONDS: Described = named(
        "clockout_job_seconds",
        "From receipt of a job to its acknowledgement",
    );
    pub const JOBS_HELD: Described = named("clockout_jobs_held", "Jobs taken and not yet settled");
    pub const JOBS_READY: Described = named(
        "clockout_jobs_ready",
        "Jobs that wait in RabbitMQ, as it last told the worker",
    );
    pub const BROKER_CONNECTED: Described =
        named("clockout_broker_connected", "1 while connected to RabbitMQ");
    pub const BREAKER_OPEN: Described = named(
        "clockout_breaker_open",
        "1 while no calls are made because the PBX fails",
    );
    pub const BROKER_RECONNECTS: Described = named(
        "clockout_broker_reconnects_total",
        "Times the broker was lost and came back",
    );
    pub const TASKS: Described = named("clockout_tasks", "Tasks of the worker's runtime that live");
    pub const DEAD_LETTERS: Described = named(
        "clockout_dead_letters_total",
        "Dead letters that the broker confirmed",
    );
    pub const DEAD_LETTERS_READY: Described = named(
        "clockout_dead_letters_ready",
        "Dead letters that wait in RabbitMQ, whoever put them there; NaN while it does not say",
    );
    pub const SPANS: Described = named(
        "clockout_spans_total",
        "Spans of traces, by what became of them",
    );
    pub const BUILD_INFO: Described = named(
        "clockout_build_info",
        "Always 1; the label tells the version",
    );
}

/// Names of log fields, written `{ field::QUEUE } = %queue`.
pub mod field {
    pub const WORKER: &str = "worker";
    pub const PBX: &str = "pbx";
    pub const QUEUE: &str = "queue";
    pub const ACTION: &str = "action";
    pub const JOB_ID: &str = "job_id";
    pub const BATCH: &str = "batch";
    /// How many agents a call held; never which.
    pub const AGENTS: &str = "agents";
    pub const CODE: &str = "code";
    pub const EPOCH: &str = "epoch";
    pub const HELD: &str = "held";
    pub const WHY: &str = "why";
    /// The name and the address of somebody who asks for an action.
    pub const WHO: &str = "who";
    pub const PEER: &str = "peer";
}

//! The sections about the worker itself: `policy`, `http`, `log`, `traces`, `shutdown`, `watchdog`, `worker`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::duration;

/// What this worker may do at all.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Policy {
    /// Actions that are allowed: "pause", "remove". Jobs for others end as `forbidden_by_policy`.
    #[schemars(inner(regex(pattern = "^(pause|remove)$")))]
    pub(in crate::settings) actions: Vec<String>,
    /// PBX queues on which removing is allowed: numbers, or `["*"]` for all.
    pub(in crate::settings) remove_queues: Vec<String>,
    /// Do everything except the PBX call, whatever the job says.
    pub(in crate::settings) dry_run: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            actions: vec!["pause".to_owned(), "remove".to_owned()],
            remove_queues: vec!["*".to_owned()],
            dry_run: false,
        }
    }
}

/// Probes, metrics, status and the page over HTTP.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Http {
    /// Address and port to listen on. "": off.
    pub(in crate::settings) listen: String,
    /// Whether an operator who knows the token may pause, resume, close the breaker and flush PBX queues.
    pub(in crate::settings) actions: bool,
    /// The token, 16 printable characters or more. Secret.
    pub(in crate::settings) actions_token: Option<String>,
    /// A file that holds the token, instead of `actions_token`.
    pub(in crate::settings) actions_token_file: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".to_owned(),
            actions: false,
            actions_token: None,
            actions_token_file: None,
        }
    }
}

/// The log, on standard error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Log {
    /// "text" or "json".
    #[schemars(extend("enum" = ["text", "json"]))]
    pub(in crate::settings) format: String,
    /// A level, or levels per module: `warn,clockout::broker=debug`.
    pub(in crate::settings) filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: "text".to_owned(),
            filter: "info".to_owned(),
        }
    }
}

/// OpenTelemetry traces of jobs.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Traces {
    /// Receiver of OTLP over HTTP: what stands in front of /v1/traces, such as `http://127.0.0.1:4318`. "": off.
    pub(in crate::settings) endpoint: String,
    /// Sent with every request, each `name: value`. Secret.
    pub(in crate::settings) headers: Vec<String>,
    /// A file that holds the headers, one a line, instead of `headers`.
    pub(in crate::settings) headers_file: Option<String>,
    /// Longest that a request may take, connecting included.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) timeout: String,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers: Vec::new(),
            headers_file: None,
            timeout: "10s".to_owned(),
        }
    }
}

/// The orderly stop.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Shutdown {
    /// How long what is held may take to finish; the rest goes back to RabbitMQ.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) grace: String,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: "30s".to_owned(),
        }
    }
}

/// What happens when nothing moves any more.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Watchdog {
    /// How long jobs may wait without a delivery, or publishes without a confirm, before the connections to RabbitMQ are built
    /// anew. If that does not help for as long again, /livez fails.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) patience: String,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            patience: "1m".to_owned(),
        }
    }
}

/// This instance.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Worker {
    /// Name of this instance in outcomes and in RabbitMQ's listings. Default: host name and process id.
    pub(in crate::settings) name: Option<String>,
}

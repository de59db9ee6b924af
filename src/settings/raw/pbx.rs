//! The sections about the PBX and calling it: `pbx`, `batch`, `retry`, `breaker`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pbx::texts;
use crate::settings::duration;

pub(in crate::settings) const IN_FLIGHT_MAX: i64 = 1_000;
pub(in crate::settings) const CALLS_PER_SECOND_MAX: i64 = 1_000_000;
pub(in crate::settings) const AGENTS_MAX: i64 = 10_000;
pub(in crate::settings) const MULTIPLIER_MAX: f64 = 100.0;
pub(in crate::settings) const ATTEMPTS_MAX: i64 = 1_000;
pub(in crate::settings) const FAILURES_MAX: i64 = 1_000;

/// The PBX that this worker serves.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Pbx {
    /// Name of this PBX in outcomes.
    #[schemars(length(min = 1, max = 64))]
    pub(in crate::settings) name: String,
    /// Required, here or in the environment: `http` or `https`, the part in front of `/api/v4`.
    pub(in crate::settings) base_url: Option<String>,
    /// PEM file of the certificate authorities to trust with `https`, instead of the system's.
    pub(in crate::settings) ca_file: Option<String>,
    /// PEM file of the client certificate; goes with `key_file`.
    pub(in crate::settings) cert_file: Option<String>,
    /// PEM file of the client certificate's key; goes with `cert_file`.
    pub(in crate::settings) key_file: Option<String>,
    /// Sent as header `X-APIKEY`. Secret.
    pub(in crate::settings) api_key: Option<String>,
    /// A file that holds the key, instead of `api_key`.
    pub(in crate::settings) api_key_file: Option<String>,
    /// User name for HTTP basic authentication.
    pub(in crate::settings) username: Option<String>,
    /// A file that holds the user name, instead of `username`.
    pub(in crate::settings) username_file: Option<String>,
    /// Password for HTTP basic authentication; may be empty. Secret.
    pub(in crate::settings) password: Option<String>,
    /// A file that holds the password, instead of `password`.
    pub(in crate::settings) password_file: Option<String>,
    /// Longest wait for a connection.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) connect_timeout: String,
    /// Longest a call may take, connecting included.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) timeout: String,
    /// Most calls at once, over all PBX queues; one PBX queue never has more than one.
    #[schemars(range(min = 1, max = IN_FLIGHT_MAX))]
    pub(in crate::settings) max_in_flight: i64,
    /// Most calls started in a second. 0: no limit.
    #[schemars(range(min = 0, max = CALLS_PER_SECOND_MAX))]
    pub(in crate::settings) max_calls_per_second: i64,
    pub(in crate::settings) texts: Texts,
}

impl Default for Pbx {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            base_url: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            api_key: None,
            api_key_file: None,
            username: None,
            username_file: None,
            password: None,
            password_file: None,
            connect_timeout: "3s".to_owned(),
            timeout: "10s".to_owned(),
            max_in_flight: 8,
            max_calls_per_second: 0,
            texts: Texts::default(),
        }
    }
}

/// What the PBX's failure texts mean: patterns found anywhere in a text, in any case; `*` stands for any characters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Texts {
    /// The agent is not on that PBX queue.
    pub(in crate::settings) absent: Vec<String>,
    /// The PBX has no such queue.
    pub(in crate::settings) no_such_queue: Vec<String>,
    /// The agent is a fixed member of the PBX queue.
    pub(in crate::settings) not_dynamic: Vec<String>,
    /// Worth another try.
    pub(in crate::settings) retry: Vec<String>,
}

impl Default for Texts {
    fn default() -> Self {
        let texts::Settings {
            absent,
            no_such_queue,
            not_dynamic,
            retry,
        } = texts::Settings::default();
        Self {
            absent,
            no_such_queue,
            not_dynamic,
            retry,
        }
    }
}

/// How jobs gather for a call.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Batch {
    /// Most agents in one call.
    #[schemars(range(min = 1, max = AGENTS_MAX))]
    pub(in crate::settings) max_agents: i64,
    /// Longest a job waits for company. "0s": it leaves as soon as its PBX queue is free.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) linger: String,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_agents: 50,
            linger: "200ms".to_owned(),
        }
    }
}

/// How calls that failed are tried again; waits are jittered.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Retry {
    /// Wait before the second call.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) initial: String,
    /// Each wait is this many times the one before.
    #[schemars(range(min = 1.0, max = MULTIPLIER_MAX))]
    pub(in crate::settings) multiplier: f64,
    /// Longest wait.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) max: String,
    /// Most calls for one agent of a job, the first included.
    #[schemars(range(min = 1, max = ATTEMPTS_MAX))]
    pub(in crate::settings) attempts_max: i64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial: "250ms".to_owned(),
            multiplier: 2.0,
            max: "10s".to_owned(),
            attempts_max: 6,
        }
    }
}

/// When calling is left off because the PBX fails, and for how long.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Breaker {
    /// Failed calls in a row that open the breaker.
    #[schemars(range(min = 1, max = FAILURES_MAX))]
    pub(in crate::settings) failures: i64,
    /// Wait before the first probe; doubles with each probe that fails.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) cooldown: String,
    /// Longest wait before a probe.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) cooldown_max: String,
    /// Longest that jobs stay held while the breaker is open; then they go back to RabbitMQ until the PBX may be back. Shorter than
    /// RabbitMQ's `consumer_timeout`, half an hour unless changed there.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) hold_max: String,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            cooldown: "5s".to_owned(),
            cooldown_max: "60s".to_owned(),
            hold_max: "20m".to_owned(),
        }
    }
}

//! The sections about RabbitMQ: `amqp`, `jobs`, `results`, `dead`, `topology`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::duration;

/// AMQP counts the prefetch in 16 bits, and 0 would mean no limit.
pub(in crate::settings) const PREFETCH_MAX: i64 = 65_535;
/// Each is a quorum queue of its own.
pub(in crate::settings) const JOBS_SHARDS_MAX: i64 = 64;
pub(in crate::settings) const JOBS_DELIVERY_LIMIT_MAX: i64 = 1_000_000;

/// Where RabbitMQ is.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Amqp {
    /// `amqp://` or `amqps://user:password@host:port/vhost`; the default virtual host is written `%2f`. Secret.
    pub(in crate::settings) url: String,
    /// A file that holds the URL, instead of `url`.
    pub(in crate::settings) url_file: Option<String>,
    /// Instead of `url`, the nodes of a cluster: URLs that are tried in turn. Secret.
    pub(in crate::settings) urls: Vec<String>,
    /// A file that holds the URLs, one a line, instead of `urls`.
    pub(in crate::settings) urls_file: Option<String>,
    /// PEM file of the certificate authorities to trust with `amqps://`, instead of the system's.
    pub(in crate::settings) ca_file: Option<String>,
    /// PEM file of the client certificate; goes with `key_file`.
    pub(in crate::settings) cert_file: Option<String>,
    /// PEM file of the client certificate's key; goes with `cert_file`.
    pub(in crate::settings) key_file: Option<String>,
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            url: "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned(),
            url_file: None,
            urls: Vec::new(),
            urls_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}

/// Where jobs come from and what holds for all of them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Jobs {
    /// Exchange that producers publish jobs to, with the PBX queue number as routing key.
    #[schemars(length(min = 1, max = 255))]
    pub(in crate::settings) exchange: String,
    /// Queue that jobs wait in.
    #[schemars(length(min = 1, max = 255))]
    pub(in crate::settings) queue: String,
    /// Queues that jobs are spread over by their PBX queue, so that several workers share the work. More than one needs
    /// RabbitMQ's plugin `rabbitmq_consistent_hash_exchange`.
    #[schemars(range(min = 1, max = JOBS_SHARDS_MAX))]
    pub(in crate::settings) shards: i64,
    /// Most jobs held in memory. With many PBX queues at once, agents per call are at most prefetch / queues.
    #[schemars(range(min = 1, max = PREFETCH_MAX))]
    pub(in crate::settings) prefetch: i64,
    /// Age at which a job without `expires_at` expires. "0s": never.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) max_age: String,
    /// How long after its end a job is known again, so that it is answered and not carried out a second time.
    #[schemars(regex(pattern = duration::PATTERN))]
    pub(in crate::settings) dedup_window: String,
    /// How often RabbitMQ delivers a job before it dead-letters the job by itself.
    #[schemars(range(min = 1, max = JOBS_DELIVERY_LIMIT_MAX))]
    pub(in crate::settings) delivery_limit: i64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            exchange: "clockout.jobs".to_owned(),
            queue: "clockout.jobs".to_owned(),
            shards: 1,
            prefetch: 4000,
            max_age: "1h".to_owned(),
            dedup_window: "10m".to_owned(),
            delivery_limit: 100,
        }
    }
}

/// Where outcomes go.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Results {
    /// Exchange that outcomes are published to.
    #[schemars(length(min = 1, max = 255))]
    pub(in crate::settings) exchange: String,
    /// Queue that catches every outcome. "": none.
    #[schemars(length(max = 255))]
    pub(in crate::settings) queue: String,
    /// When no queue takes an outcome: "hold" the job and try again, or "discard" the outcome and go on.
    #[schemars(extend("enum" = ["hold", "discard"]))]
    pub(in crate::settings) unroutable: String,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            exchange: "clockout.results".to_owned(),
            queue: "clockout.results".to_owned(),
            unroutable: "hold".to_owned(),
        }
    }
}

/// Where dead letters go.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Dead {
    /// Exchange that dead letters are published to.
    #[schemars(length(min = 1, max = 255))]
    pub(in crate::settings) exchange: String,
    /// Queue that dead letters wait in.
    #[schemars(length(min = 1, max = 255))]
    pub(in crate::settings) queue: String,
}

impl Default for Dead {
    fn default() -> Self {
        Self {
            exchange: "clockout.dead".to_owned(),
            queue: "clockout.dead".to_owned(),
        }
    }
}

/// Who sets up exchanges and queues.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct Topology {
    /// Whether the worker declares exchanges, queues and bindings; else it only checks that they stand.
    pub(in crate::settings) declare: bool,
}

impl Default for Topology {
    fn default() -> Self {
        Self { declare: true }
    }
}

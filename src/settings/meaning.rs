//! From raw settings to what they mean, and whether they fit together.

mod amqp;
mod broker;
mod engine;
mod pbx;
mod traces;

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::check::Check;
use super::problem::shown;
use super::raw::{self, Raw};
use super::{BrokerOnly, Settings};
use crate::{telemetry, wire};

/// Below this, what merely takes its time would pass for what has stopped.
const PATIENCE_MIN: Duration = Duration::from_secs(1);

/// Shortest token that nobody guesses.
const TOKEN_CHARS_MIN: usize = 16;

const PBX_NAME_CHARS_MAX: usize = 64;
const WORKER_NAME_CHARS_MAX: usize = 128;

/// All of it; a PBX to call is required.
pub(super) fn worker(raw: Raw, check: &mut Check) -> Option<Settings> {
    if raw.pbx.base_url.is_none() {
        pbx::require_address(check);
    }
    Parts::of(raw, check).into_settings()
}

/// What a command needs that talks to RabbitMQ alone. The rest is checked all the same, as far as it is given.
pub(super) fn broker_only(raw: Raw, check: &mut Check) -> Option<BrokerOnly> {
    let parts = Parts::of(raw, check);
    Some(BrokerOnly {
        broker: parts.broker?,
        pbx_name: parts.pbx_name?,
        log: parts.log?,
    })
}

/// Each `None` where a problem was noted; `pbx` also if there is no address to call, `http_listen`, `actions_token` and
/// `traces` if they are off.
struct Parts {
    broker: Option<crate::broker::Settings>,
    pbx: Option<crate::pbx::client::Settings>,
    engine: Option<crate::engine::Settings>,
    jobs: Option<wire::job::Settings>,
    pbx_name: Option<String>,
    worker_name: Option<String>,
    http_listen: Option<SocketAddr>,
    actions_token: Option<SecretString>,
    log: Option<telemetry::Settings>,
    traces: Option<crate::traces::Settings>,
    grace: Option<Duration>,
    patience: Option<Duration>,
}

impl Parts {
    fn of(raw: Raw, check: &mut Check) -> Self {
        let name = raw
            .worker
            .name
            .clone()
            .unwrap_or_else(super::default_worker_name);
        let patience = patience(&raw.watchdog.patience, check);
        let worker_name = check.printable("worker.name", name, WORKER_NAME_CHARS_MAX);
        let engine = engine::settings(&raw, check);
        let jobs = jobs(&raw.jobs.max_age, raw.policy.dry_run, check);
        if let (Some(engine), Some(jobs)) = (&engine, &jobs) {
            refuse_age_within_linger(engine.linger, jobs.max_age, &raw, check);
        }
        Self {
            engine,
            jobs,
            pbx_name: check.printable("pbx.name", raw.pbx.name.clone(), PBX_NAME_CHARS_MAX),
            http_listen: http_listen(&raw.http.listen, check),
            actions_token: actions_token(raw.http, check),
            log: log(&raw.log, check),
            traces: traces::settings(raw.traces, check),
            grace: check.duration("shutdown.grace", &raw.shutdown.grace),
            pbx: pbx::settings(raw.pbx, check),
            broker: broker::settings(
                broker::Sections {
                    amqp: raw.amqp,
                    jobs: raw.jobs,
                    results: raw.results,
                    dead: raw.dead,
                    declare: raw.topology.declare,
                    patience,
                },
                worker_name.as_deref(),
                check,
            ),
            worker_name,
            patience,
        }
    }

    fn into_settings(self) -> Option<Settings> {
        Some(Settings {
            broker: self.broker?,
            pbx: self.pbx?,
            engine: self.engine?,
            jobs: self.jobs?,
            pbx_name: self.pbx_name?,
            worker_name: self.worker_name?,
            http_listen: self.http_listen,
            actions_token: self.actions_token,
            log: self.log?,
            traces: self.traces,
            grace: self.grace?,
            patience: self.patience?,
        })
    }
}

fn patience(text: &str, check: &mut Check) -> Option<Duration> {
    let patience = check.duration("watchdog.patience", text)?;
    let enough = Some(patience).filter(|patience| *patience >= PATIENCE_MIN);
    check.known("watchdog.patience", text, enough, "\"1s\" or longer")
}

fn jobs(max_age: &str, dry_run: bool, check: &mut Check) -> Option<wire::job::Settings> {
    let max_age = check.duration("jobs.max_age", max_age)?;
    Some(wire::job::Settings {
        max_age: Some(max_age).filter(|age| !age.is_zero()),
        dry_run,
    })
}

/// With these no job without `expires_at` could ever be carried out: each would expire before its batch leaves.
fn refuse_age_within_linger(
    linger: Duration,
    max_age: Option<Duration>,
    raw: &Raw,
    check: &mut Check,
) {
    if max_age.is_some_and(|age| age < linger) {
        let wrong = format_args!("is {}, shorter than batch.linger", shown(&raw.jobs.max_age));
        let expected = format_args!("at least {}, or \"0s\"", shown(&raw.batch.linger));
        check.refuse("jobs.max_age", wrong, expected);
    }
}

/// `None`: off.
pub(super) fn http_listen(text: &str, check: &mut Check) -> Option<SocketAddr> {
    if text.is_empty() {
        return None;
    }
    let expected = "an IP address and a port such as 127.0.0.1:9464 or [::]:9464, or \"\" for off";
    check.known("http.listen", text, text.parse().ok(), expected)
}

/// `None`: off.
fn actions_token(raw: raw::Http, check: &mut Check) -> Option<SecretString> {
    if !raw.actions {
        return None;
    }
    let is_given = raw.actions_token.is_some() || raw.actions_token_file.is_some();
    let expected = format!("at least {TOKEN_CHARS_MIN} printable ASCII characters without spaces");
    if !is_given {
        let wrong = "is missing, and http.actions is true";
        check.refuse("http.actions_token", wrong, &expected);
    }
    let token = check.secret(
        "http.actions_token",
        raw.actions_token,
        raw.actions_token_file,
    )?;
    let fits = token.len() >= TOKEN_CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let wrong = "is too short or holds a character that no token has";
        check.refuse("http.actions_token", wrong, expected);
    }
    fits.then(|| token.into())
}

fn log(raw: &raw::Log, check: &mut Check) -> Option<telemetry::Settings> {
    let format = raw.format.parse().ok();
    let format = check.known("log.format", &raw.format, format, "\"text\" or \"json\"");
    let filter = telemetry::Filter::parse(&raw.filter).ok();
    let expected =
        "a level (error, warn, info, debug, trace) or target=level pairs, separated by commas";
    let filter = check.known("log.filter", &raw.filter, filter, expected);
    Some(telemetry::Settings {
        format: format?,
        filter: filter?,
    })
}

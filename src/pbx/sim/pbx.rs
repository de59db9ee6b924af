//! The PBX's side of the simulated PBX: who may call, what a call does, what goes wrong with it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::time::sleep;

use super::call::{BadCall, Call, Verb};
use super::faults::Plan;
use super::reply::{self, Item, Reply};
use super::rule::{CallFault, ItemFault, RetryAfter};
use super::server::HangUp;
use super::{Options, Shared};

const API: &str = "/api/v4/";

pub(super) async fn answer(shared: &Shared, request: &Request<Bytes>) -> Result<Reply, HangUp> {
    match read(&shared.options, request) {
        Ok(call) => perform(shared, &call).await,
        Err(NoCall::Address) => Ok(reply::unknown_address()),
        Err(NoCall::Nobody(verb)) => {
            let fault = shared.world().faults.for_nobody(verb);
            let nobody = || reply::refusal(StatusCode::OK, &BadCall::NoAgents.to_string());
            Ok(fault.map_or_else(nobody, |(code, body)| reply::text(status(code), body)))
        }
        Err(NoCall::Refused(status, message)) => Ok(reply::refusal(status, &message)),
    }
}

/// A request that is no call.
enum NoCall {
    /// Not the API at all.
    Address,
    /// It names no agent. What is wrong for every call is said first.
    Nobody(Verb),
    /// One of the documented errors.
    Refused(StatusCode, String),
}

fn read(options: &Options, request: &Request<Bytes>) -> Result<Call, NoCall> {
    let service = request
        .uri()
        .path()
        .strip_prefix(API)
        .ok_or(NoCall::Address)?;
    let refused = |status, message: &str| NoCall::Refused(status, message.to_owned());
    let verb = service
        .strip_prefix("pbx/queues/")
        .and_then(Verb::of_service)
        .ok_or_else(|| {
            refused(
                StatusCode::NOT_IMPLEMENTED,
                "Requested service does not exist",
            )
        })?;
    if let Some(message) = stranger(options, request) {
        return Err(refused(StatusCode::UNAUTHORIZED, message));
    }
    if request.method() != Method::POST {
        let message = "Method is not allowed";
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    if !is_json(request) {
        let message = "Media type is not allowed";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    Call::parse(verb, request.body()).map_err(|bad| match bad {
        BadCall::Unparsable => refused(StatusCode::BAD_REQUEST, &bad.to_string()),
        BadCall::NoAgents => NoCall::Nobody(verb),
        BadCall::NoQueue | BadCall::NoAgent => refused(StatusCode::OK, &bad.to_string()),
    })
}

/// What is wrong with the credentials; `None` if nothing is.
fn stranger(options: &Options, request: &Request<Bytes>) -> Option<&'static str> {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    if let Some(expected) = &options.api_key {
        match header(HeaderName::from_static("x-apikey")) {
            None => return Some("ApiKey is missing"),
            Some(key) if key != expected.expose_secret().as_bytes() => {
                return Some("ApiKey is invalid");
            }
            Some(_) => {}
        }
    }
    if let Some((username, password)) = &options.basic {
        let expected = BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        match header(AUTHORIZATION) {
            None => return Some("BasicAuth is missing"),
            Some(given) if given != format!("Basic {expected}").as_bytes() => {
                return Some("BasicAuth is invalid");
            }
            Some(_) => {}
        }
    }
    None
}

fn is_json(request: &Request<Bytes>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn perform(shared: &Shared, call: &Call) -> Result<Reply, HangUp> {
    let (mut under_way, plan) = UnderWay::begin(shared, call);
    let latency = shared.options.latency + plan.latency;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let apply = || apply(shared, call, &plan.items);
    let reply = match plan.call {
        None => reply::items(apply()),
        Some(CallFault::RefuseBatch { http, text }) => reply::refusal(status(http), &text),
        Some(CallFault::Status {
            code,
            retry_after,
            body,
        }) => {
            let mut reply = reply::text(status(code), body);
            if let Some(wait) = retry_after.and_then(header) {
                reply.headers_mut().insert(RETRY_AFTER, wait);
            }
            reply
        }
        Some(CallFault::DropBefore) => return Err(HangUp),
        Some(CallFault::DropAfter) => {
            apply();
            return Err(HangUp);
        }
        Some(CallFault::Hang { applied }) => {
            if applied {
                apply();
            }
            // Ends with the connection.
            std::future::pending().await
        }
        Some(CallFault::Garbage { applied }) => {
            if applied {
                apply();
            }
            reply::text(StatusCode::OK, "Fatal error: out of memory".to_owned())
        }
    };
    under_way.status = Some(reply.status().as_u16());
    Ok(reply)
}

/// Carries the call out, except for what `faults` say, and answers the items of the reply.
fn apply(shared: &Shared, call: &Call, faults: &[Option<ItemFault>]) -> Vec<Item> {
    let mut world = shared.world();
    let mut items = Vec::with_capacity(call.items.len());
    for (&(queue, agent), fault) in call.items.iter().zip(faults) {
        match fault {
            None => {
                let applied = world.queues.apply(call.verb, queue, agent);
                items.push(Item::new((queue, agent), applied));
            }
            Some(ItemFault::Fail { text }) => items.push(Item::new((queue, agent), Err(text))),
            Some(ItemFault::Missing { applied: false }) => {}
            Some(ItemFault::Missing { applied: true }) => {
                // The reply keeps silent about it, however it went.
                world.queues.apply(call.verb, queue, agent).ok();
            }
        }
    }
    items
}

/// Statuses were checked with their rule.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn header(wait: RetryAfter) -> Option<HeaderValue> {
    match wait {
        RetryAfter::Seconds(seconds) => Some(seconds.into()),
        RetryAfter::DateIn(seconds) => {
            #[expect(
                clippy::disallowed_methods,
                reason = "the header's date means the wall clock"
            )]
            let date = SystemTime::now() + Duration::from_secs(seconds.into());
            HeaderValue::from_str(&httpdate::fmt_http_date(date)).ok()
        }
    }
}

/// A call that stands in the log as under way until this is dropped, even by a caller that goes away.
struct UnderWay<'a> {
    shared: &'a Shared,
    call: &'a Call,
    seq: u64,
    status: Option<u16>,
}

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared, call: &'a Call) -> (Self, Plan) {
        let now_ms = shared.now_ms();
        let mut world = shared.world();
        let seq = world.log.begin(now_ms, call);
        let plan = world.faults.plan(call);
        let under_way = Self {
            shared,
            call,
            seq,
            status: None,
        };
        (under_way, plan)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now_ms = self.shared.now_ms();
        let mut world = self.shared.world();
        world.log.end(now_ms, self.seq, self.call, self.status);
    }
}

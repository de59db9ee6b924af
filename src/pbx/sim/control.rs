//! The operator's side of the simulated PBX: faults, members, and what happened, under `/sim/`. Asks for no credentials.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reply::{self, Reply};
use super::rule::Rule;
use super::state::{Member, NewMember, Queues};
use super::{LoggedCall, Shared};
use crate::engine::job::{Agent, BadNumber, PbxQueue};

/// Most calls in one answer; `next` leads on.
const PAGE_CALLS_MAX: usize = 10_000;

/// `resource` is the path behind `/sim/`.
pub(super) fn answer(shared: &Shared, resource: &str, request: &Request<Bytes>) -> Reply {
    let answered = match (request.method(), resource) {
        (&Method::GET, "health") => Ok(json(&serde_json::json!({"ok": true}))),
        (&Method::GET, "faults") => Ok(json(&shared.world().faults.rules())),
        (&Method::PUT, "faults") => parse(request).and_then(|rules| set_faults(shared, rules)),
        (&Method::DELETE, "faults") => set_faults(shared, Vec::new()),
        (&Method::GET, "calls") => since(request).map(|since| calls(shared, since)),
        (&Method::DELETE, "calls") => {
            shared.world().log.clear();
            Ok(done())
        }
        (&Method::GET, "stats") => Ok(json(&shared.world().log.stats())),
        (&Method::GET, "state") => Ok(state(shared)),
        (&Method::DELETE, "state") => {
            shared.world().queues = Queues::new(shared.options.members.as_deref());
            Ok(done())
        }
        (&Method::PUT, "members") => {
            parse(request).and_then(|members: Vec<_>| put(shared, &members))
        }
        _ => Ok(reply::unknown_address()),
    };
    answered.unwrap_or_else(|why| reply::text(StatusCode::BAD_REQUEST, format!("{why}\n")))
}

fn json(value: &impl Serialize) -> Reply {
    reply::json(StatusCode::OK, value)
}

fn done() -> Reply {
    reply::text(StatusCode::NO_CONTENT, String::new())
}

fn parse<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, String> {
    serde_json::from_slice(request.body()).map_err(|error| error.to_string())
}

fn set_faults(shared: &Shared, rules: Vec<Rule>) -> Result<Reply, String> {
    let replaced = shared.world().faults.replace(rules);
    replaced.map(|()| done()).map_err(|error| error.to_string())
}

/// The query's number; 0 without one.
fn since(request: &Request<Bytes>) -> Result<u64, String> {
    let query = request.uri().query().unwrap_or_default();
    let since = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("since="));
    since.map_or(Ok(0), |number| {
        number
            .parse()
            .map_err(|_| "since must be a number".to_owned())
    })
}

#[derive(Serialize)]
struct Page<'a> {
    /// Calls no longer remembered.
    dropped: u64,
    /// What to ask `since` next.
    next: u64,
    calls: Vec<&'a LoggedCall>,
}

fn calls(shared: &Shared, since: u64) -> Reply {
    let world = shared.world();
    let calls: Vec<_> = world.log.calls(since).take(PAGE_CALLS_MAX).collect();
    json(&Page {
        dropped: world.log.dropped(),
        next: calls.last().map_or(since, |call| call.seq),
        calls,
    })
}

fn state(shared: &Shared) -> Reply {
    let world = shared.world();
    let mut queues: BTreeMap<&str, BTreeMap<&str, Member>> = BTreeMap::new();
    for (queue, agents) in world.queues.members() {
        let agents = agents
            .iter()
            .map(|(agent, member)| (agent.as_str(), *member));
        queues.insert(queue.as_str(), agents.collect());
    }
    json(&queues)
}

/// All or none.
fn put(shared: &Shared, members: &[NewMember]) -> Result<Reply, String> {
    let number = |text: &str, error: BadNumber| format!("{text:?} {error}");
    let mut parsed = Vec::with_capacity(members.len());
    for NewMember {
        queue,
        agent,
        paused,
        dynamic,
    } in members
    {
        let member = Member {
            member: true,
            paused: *paused,
            dynamic: *dynamic,
        };
        let queue = PbxQueue::parse(queue).map_err(|error| number(queue, error))?;
        let agent = Agent::parse(agent).map_err(|error| number(agent, error))?;
        parsed.push((queue, agent, member));
    }
    let mut world = shared.world();
    for (queue, agent, member) in parsed {
        world.queues.put(queue, agent, member);
    }
    Ok(done())
}

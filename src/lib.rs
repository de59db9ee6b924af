//! clockout takes call-centre agents off their PBX queues when their shift ends.
//!
//! It reads *pause* and *remove* jobs from RabbitMQ, gathers them per PBX queue into batch calls, retries what deserves
//! it, and publishes what became of every single agent.
//!
//! # Map
//!
//! | module | what it is | what it never does |
//! |---|---|---|
//! | [`engine`] | every decision, as `step(now, Event) -> Effects` | I/O, clocks, randomness of its own |
//! | [`worker`] | the loop between the engine and the outside | decide, or wait for a peer |
//! | [`broker`] | RabbitMQ: sessions, topology, deliveries, publishes, settlements | know what a job says |
//! | [`pbx`] | the PBX's HTTP API, and a simulated PBX | know of RabbitMQ |
//! | [`wire`] | bytes to engine types and back | know of AMQP libraries |
//! | [`admin`] | the page, `/livez`, `/readyz`, `/metrics`, `/status` | change anything, but for the actions allowed |
//! | [`telemetry`] | log and metrics | take a label from outside text |
//! | [`traces`] | OpenTelemetry spans of jobs, sent over HTTP | make the worker wait |
//! | [`http_client`] | the HTTP client under `pbx` and `traces` | anything of its own accord |
//! | [`unprintable`] | which characters of foreign text are never shown raw | know where they came from |
//! | [`settings`] | raw strings to meaning | let a secret be printed |
//! | `cli`, in the binary | one file per command | hold logic that a test could want |
//!
//! Imports go `cli → worker → {broker, pbx, wire, admin, telemetry, traces} → engine`; `broker` also knows the plain messages
//! of `wire`, and `traces` the names there and the metrics of `telemetry`. A test reads the `use` lines and keeps it so.
//!
//! # Invariants
//!
//! 1. A job is acknowledged only after every one of its outcomes, and its dead letter if any, is confirmed.
//! 2. A ticket is settled exactly once, on the channel it came from, or dies with that channel.
//! 3. Jobs held ≤ prefetch; agents held, memory and every channel are bounded.
//! 4. One call per PBX queue at a time, over both actions; `max_in_flight` over all; lanes take turns.
//! 5. Per PBX queue and agent, effects happen in the order of arrival, except where CONTRACT §4 says superseded.
//! 6. Timers are looked at before new deliveries: linger is a ceiling.
//! 7. HTTP 200 is not success; an agent that the reply does not name is never done.
//! 8. Only what is not done is sent again. A fault that hits every job alike burns no job.
//! 9. A lost channel voids tickets, not calls: a call completes and is remembered, so that its job, delivered again, is
//!    answered from memory.
//! 10. Stop = take no more deliveries, but stay subscribed → send what has gathered → finish calls until grace ends →
//!     confirm → acknowledge → close, which gives the rest back.
//! 11. Nothing awaits a peer inside the loop. Every spawned call returns the event it produced; a panic is one too.
//! 12. No text from outside reaches a URL, and none reaches a log, header or routing key unbounded or unescaped. Secrets
//!     live in a type that cannot print.

#![forbid(unsafe_code)]

pub mod admin;
pub mod broker;
pub mod engine;
pub mod http_client;
pub mod pbx;
pub mod settings;
pub mod telemetry;
pub mod traces;
pub mod unprintable;
pub mod wire;
pub mod worker;

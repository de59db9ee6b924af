//! What the outside world sees of clockout, checked from outside: real jobs on a real RabbitMQ, the real binary, real
//! HTTP to a simulated PBX. One module per part of the contract; `support` starts and ends everything they need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exit,
    clippy::match_wild_err_arm,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should panic and say where"
)]
#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "in a test binary `pub` says: for the tests, whether or not one needs it yet"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read their environment and measure real time"
)]

mod actions;
mod breaker;
mod broker;
mod check;
mod dead_letters;
mod demo;
mod documented;
mod gathering;
mod harness;
mod jobs;
mod lifecycle;
mod logs;
mod long_outages;
mod mending;
mod order;
mod outages;
mod outcomes;
mod pbx_calls;
mod reload;
mod repeats;
mod requests;
mod security;
mod send;
mod service_manager;
mod shards;
mod silence;
mod standby;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod turned_away;
mod unread;
mod watch;

//! Guards the page at `GET /`: in a real browser it shows a shift end as it goes, an outage and the recovery, without
//! ever being loaded anew; axe-core finds nothing in it that keeps a reader out; nothing foreign in it is more than text; a
//! thousand PBX queues do not slow it down; and whoever looks at it keeps no probe waiting.

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
mod axe;
mod broker_lost;
mod browser;
mod foreign;
mod many_queues;
mod played;
mod shift_end;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod told;

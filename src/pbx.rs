//! The PBX: one call out, one [`CallResult`](crate::engine::verdict::CallResult) back.
//!
//! [`client`] makes the call, `status` and [`reply`] say what the answer means, [`texts`] holds the words that decide
//! it; [`sim`] is a PBX to call. Decides nothing about jobs: retrying, splitting and the breaker are the engine's.

pub mod client;
pub mod reply;
pub mod sim;
pub mod texts;

mod request;
mod status;

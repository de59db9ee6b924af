//! clockout
pub mod broker;
pub mod engine;
pub mod wire;

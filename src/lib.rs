//! clockout
pub mod admin;
pub mod broker;
pub mod engine;
pub mod pbx;
pub mod telemetry;
pub mod wire;

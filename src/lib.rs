//! clockout
pub mod broker;
pub mod engine;
pub mod pbx;
pub mod telemetry;
pub mod wire;

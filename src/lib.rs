//! clockout
pub mod admin;
pub mod broker;
pub mod engine;
pub mod pbx;
pub mod settings;
pub mod telemetry;
pub mod wire;

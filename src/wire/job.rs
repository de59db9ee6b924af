//! A job: bytes and properties of a message to [`crate::engine::job::Job`] (CONTRACT §2).

use std::time::Duration;

/// What reading a job depends on (CONTRACT §7).
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The age at which a job without `expires_at` expires; `None`: never.
    pub max_age: Option<Duration>,
    /// Everything except the PBX call, whatever the job says.
    pub dry_run: bool,
}

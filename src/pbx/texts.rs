//! What the PBX's failure texts mean. The vendor publishes none, so the patterns are settings.

/// Case-insensitive patterns per meaning; none of them is empty (CONTRACT §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The agent is not on that queue.
    pub absent: Vec<String>,
    pub no_such_queue: Vec<String>,
    /// The agent is a fixed member, which only the PBX's own configuration can change.
    pub not_dynamic: Vec<String>,
    /// Worth another try.
    pub retry: Vec<String>,
}

//! A batch as the PBX wants it: path and body (CONTRACT §3).

use crate::engine::batch::Batch;
use crate::engine::job::Action;

/// The body of a call about nobody.
pub(super) const NOBODY: &str = r#"{"agents":[]}"#;

/// Below the base address, with a slash in front.
pub(super) fn path(action: Action) -> &'static str {
    match action {
        Action::Pause => "/api/v4/pbx/queues/batchpauseagent",
        Action::Remove => "/api/v4/pbx/queues/batchremoveagent",
    }
}

/// Compact JSON, keys in the documented order. Nothing needs escaping: numbers are letters, digits and `*#_+-`.
pub(super) fn body(batch: &Batch) -> String {
    let queue = batch.queue;
    let items: Vec<String> = batch
        .agents()
        .map(|agent| format!(r#"{{"queue":"{queue}","agent":"{agent}"}}"#))
        .collect();
    format!(r#"{{"agents":[{}]}}"#, items.join(","))
}

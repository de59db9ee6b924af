//! Lines of JSON for standard output, which may be a terminal.

use clockout::unprintable::json_line;
use serde::Serialize;

/// JSON on one line. Nothing unprintable of a foreign text stands in it raw, also not what JSON allows.
pub(super) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(json_line(&serde_json::to_string(value)?))
}

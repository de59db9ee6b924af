//! An outcome as any consumer reads it: by its JSON alone (CONTRACT §5), whoever published it.

use serde::Deserialize;

use crate::engine::outcome::Status;

/// What an outcome says, as far as one who follows outcomes cares. Id, status, code and `completed_at` must be there; nothing is
/// checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outcome {
    #[serde(rename = "outcome_id")]
    pub id: String,
    pub job_id: Option<String>,
    pub correlation_id: Option<String>,
    pub action: Option<String>,
    pub queue: Option<String>,
    pub agent: Option<String>,
    pub status: String,
    pub code: String,
    pub message: Option<String>,
    /// As it stands there: RFC 3339.
    pub completed_at: String,
}

impl Outcome {
    /// Reads a message of the results exchange.
    ///
    /// # Errors
    ///
    /// If it is not the JSON of an outcome.
    pub fn read(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    /// `None`: of a later version than this program's.
    pub fn status(&self) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == self.status)
    }
}

//! An outcome as any consumer reads it: by its JSON alone (CONTRACT §5).

use clockout::engine::outcome::Status;
use clockout::unprintable;
use serde::Deserialize;

use super::terminal::{self, Tone};

/// Stands for what an outcome does not say.
const UNKNOWN: &str = "-";

/// What an outcome says, as far as a reader at a terminal cares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Outcome {
    #[serde(rename = "outcome_id")]
    pub(super) id: String,
    pub(super) job_id: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) action: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) status: String,
    pub(super) code: String,
    pub(super) message: Option<String>,
    pub(super) completed_at: String,
}

impl Outcome {
    pub(super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    /// `None`: of a later version than this program's.
    pub(super) fn status(&self) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == self.status)
    }

    pub(super) fn tone(&self) -> Tone {
        match self.status() {
            Some(Status::Succeeded) => Tone::Good,
            Some(Status::Failed | Status::Invalid) => Tone::Bad,
            Some(Status::Superseded | Status::DryRun) => Tone::Faint,
            Some(Status::Expired | Status::Unknown) | None => Tone::Doubtful,
        }
    }

    /// When, what was asked, how it ended, whose job it was, what the PBX said.
    pub(super) fn columns(&self) -> [String; 8] {
        let known = |text: &Option<String>| text.as_deref().map(terminal::printable);
        let or_unknown = |text: &Option<String>| known(text).unwrap_or_else(|| UNKNOWN.to_owned());
        [
            terminal::printable(&self.completed_at),
            or_unknown(&self.action),
            or_unknown(&self.queue),
            or_unknown(&self.agent),
            terminal::printable(&self.status),
            terminal::printable(&self.code),
            or_unknown(&self.job_id),
            known(&self.message).unwrap_or_default(),
        ]
    }
}

/// The body of a message that is JSON, on one line.
pub(super) fn json_line(body: &[u8]) -> String {
    unprintable::json_line(&String::from_utf8_lossy(body))
}

#[cfg(test)]
impl Outcome {
    /// An outcome to test with.
    pub(super) fn sample() -> Self {
        let some = |text: &str| Some(text.to_owned());
        Self {
            id: "5e0c9d1e-7a34-5b6d-9c12-c10cc0070001".to_owned(),
            job_id: some("j-1"),
            correlation_id: some("c-1"),
            action: some("pause"),
            queue: some("10000"),
            agent: some("570"),
            status: "succeeded".to_owned(),
            code: "applied".to_owned(),
            message: some("Paused successfully"),
            completed_at: "2026-11-21T18:10:01.999Z".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clockout::unprintable::is_unprintable;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_an_outcome_does_not_say_is_a_dash_and_foreign_text_stays_on_its_line() {
        let outcome = Outcome {
            agent: None,
            message: Some("a\tb\n".to_owned()),
            ..Outcome::sample()
        };
        assert_eq!(
            outcome.columns(),
            [
                "2026-11-21T18:10:01.999Z",
                "pause",
                "10000",
                "-",
                "succeeded",
                "applied",
                "j-1",
                "a\\tb\\n"
            ]
        );
    }

    /// As JSON may hold them, and as hardly anybody writes them.
    const TEXT: &str = "(?s)(.|[\u{0}-\u{9f}\u{2020}-\u{2070}]){0,20}";

    proptest! {
        #[test]
        fn whatever_is_published_as_an_outcome_nothing_in_it_is_obeyed(
            texts in proptest::array::uniform5(TEXT),
            reshaped in any::<bool>(),
        ) {
            let [id, status, agent, message, more] = texts.each_ref();
            let body = json!({
                "outcome_id": id, "status": status, "code": id, "completed_at": status, "agent": agent,
                "message": message, more.as_str(): [more],
            });
            let bytes = if reshaped { format!("{body:#}") } else { body.to_string() };
            // Fields are read by name, and the one made up may have any.
            if let Ok(outcome) = Outcome::read(bytes.as_bytes()) {
                outcome.tone();
                for column in outcome.columns() {
                    prop_assert!(!column.contains(is_unprintable), "{column:?}");
                }
            }
            let line = json_line(bytes.as_bytes());
            prop_assert!(!line.contains(is_unprintable), "{line:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), body);
        }

        #[test]
        fn bytes_that_are_no_outcome_are_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Outcome::read(&bytes).is_err());
        }
    }
}

//! How an outcome that was told is shown at a terminal.

use clockout::engine::outcome::Status;
use clockout::unprintable;
use clockout::wire::told::Outcome;

use super::terminal::{self, Tone};

/// Stands for what an outcome does not say.
const UNKNOWN: &str = "-";

pub(super) fn tone(outcome: &Outcome) -> Tone {
    match outcome.status() {
        Some(Status::Succeeded) => Tone::Good,
        Some(Status::Failed | Status::Invalid) => Tone::Bad,
        Some(Status::Superseded | Status::DryRun) => Tone::Faint,
        Some(Status::Expired | Status::Unknown) | None => Tone::Doubtful,
    }
}

/// When, what was asked, how it ended, whose job it was, what the PBX said.
pub(super) fn columns(outcome: &Outcome) -> [String; 8] {
    let known = |text: &Option<String>| text.as_deref().map(terminal::printable);
    let or_unknown = |text: &Option<String>| known(text).unwrap_or_else(|| UNKNOWN.to_owned());
    [
        terminal::printable(&outcome.completed_at),
        or_unknown(&outcome.action),
        or_unknown(&outcome.queue),
        or_unknown(&outcome.agent),
        terminal::printable(&outcome.status),
        terminal::printable(&outcome.code),
        or_unknown(&outcome.job_id),
        known(&outcome.message).unwrap_or_default(),
    ]
}

/// The body of a message that is JSON, on one line.
pub(super) fn json_line(body: &[u8]) -> String {
    unprintable::json_line(&String::from_utf8_lossy(body))
}

/// An outcome to test with.
#[cfg(test)]
pub(super) fn sample() -> Outcome {
    let some = |text: &str| Some(text.to_owned());
    Outcome {
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
            ..sample()
        };
        assert_eq!(
            columns(&outcome),
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
                tone(&outcome);
                for column in columns(&outcome) {
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

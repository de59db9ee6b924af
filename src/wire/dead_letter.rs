//! What a dead letter's headers say beside the original message (CONTRACT §6): written by the worker, read by
//! `clockout dead`.

mod account;
mod revival;

use super::excerpt::excerpt;
use super::time::Rfc3339;
use crate::engine::DeadLetter;
use crate::engine::job::Agent;

pub use account::Account;
pub use revival::{Revival, revived};

const STATUS: &str = "clockout-status";
const CODE: &str = "clockout-code";
const MESSAGE: &str = "clockout-message";
const AGENTS: &str = "clockout-agents";
const ATTEMPTS: &str = "clockout-attempts";
const AT: &str = "clockout-at";

/// The headers that the worker adds to make a job a dead letter.
pub const HEADERS: [&str; 6] = [STATUS, CODE, MESSAGE, AGENTS, ATTEMPTS, AT];

/// The header that counts how often a job came back from the dead letters. It stays with the job.
pub const REPLAY: &str = "clockout-replay";

/// Properties and headers of a message share one AMQP frame, so a PBX's text must not fill it.
const MESSAGE_CHARS_MAX: usize = 1000;

/// The headers to add, every one always present; what is not known is empty.
pub fn headers(letter: &DeadLetter) -> Vec<(&'static str, String)> {
    let agents: Vec<&str> = letter.agents.iter().map(Agent::as_str).collect();
    let message = letter.message.as_deref().unwrap_or_default();
    vec![
        (STATUS, letter.code.status().to_string()),
        (CODE, letter.code.to_string()),
        (MESSAGE, excerpt(message, MESSAGE_CHARS_MAX)),
        (AGENTS, agents.join(",")),
        (ATTEMPTS, letter.attempts.to_string()),
        (AT, Rfc3339(letter.at).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::Timestamp;
    use crate::engine::outcome::Code;

    #[test]
    fn every_header_of_contract_6_is_there() {
        let letter = DeadLetter {
            code: Code::NotMember,
            message: Some("not\r\nthere".into()),
            agents: ["570", "0553"]
                .map(|number| Agent::parse(number).unwrap())
                .into(),
            attempts: 2,
            at: Timestamp(1_795_284_600_007),
        };
        let expected = [
            ("clockout-status", "failed"),
            ("clockout-code", "not_member"),
            ("clockout-message", r"not\r\nthere"),
            ("clockout-agents", "570,0553"),
            ("clockout-attempts", "2"),
            ("clockout-at", "2026-11-21T18:10:00.007Z"),
        ];
        assert_eq!(
            headers(&letter),
            expected.map(|(name, value)| (name, value.to_owned()))
        );
        assert_eq!(expected.map(|(name, _)| name), HEADERS);
    }

    #[test]
    fn what_is_not_known_is_empty_and_what_is_long_is_cut() {
        let letter = DeadLetter {
            code: Code::MalformedJson,
            message: None,
            agents: Vec::new(),
            attempts: 0,
            at: Timestamp(0),
        };
        let header = |letter: &DeadLetter, wanted| {
            headers(letter)
                .into_iter()
                .find(|(name, _)| *name == wanted)
                .unwrap()
                .1
        };
        assert_eq!(header(&letter, "clockout-message"), "");
        assert_eq!(header(&letter, "clockout-agents"), "");
        let long = DeadLetter {
            message: Some("x".repeat(9999).into()),
            ..letter
        };
        assert_eq!(
            header(&long, "clockout-message").chars().count(),
            MESSAGE_CHARS_MAX + 1
        );
    }
}

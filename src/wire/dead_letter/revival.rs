//! A dead letter's body as a job to send again (CONTRACT §6): as it was, but for what is asked for.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Account;
use crate::engine::job::Timestamp;
use crate::wire::time::Rfc3339;

/// What is to differ from the original.
#[derive(Debug, Clone, Default)]
pub struct Revival<'a> {
    /// `requested_at` becomes this, `expires_at` goes.
    pub now: Option<Timestamp>,
    /// In place of the job id, which becomes the correlation id if the job has none.
    pub new_id: Option<&'a str>,
    /// Only the agents that failed, if the letter names them.
    pub failed_only: bool,
}

/// The fields of a job in their order, each value byte for byte.
type Fields = IndexMap<String, Box<RawValue>>;

/// The body with what is to differ; `None` if it is to stay as it is, or is no JSON object in which anything could be changed.
pub fn revived(
    body: &[u8],
    account: &Account,
    correlation_id: Option<&str>,
    revival: &Revival<'_>,
) -> Option<Vec<u8>> {
    let failed = Some(&account.agents).filter(|_| revival.failed_only && account.names_failed);
    if revival.now.is_none() && revival.new_id.is_none() && failed.is_none() {
        return None;
    }
    let mut fields: Fields = serde_json::from_slice(body).ok()?;
    if let Some(now) = revival.now {
        set(&mut fields, "requested_at", &Rfc3339(now))?;
        fields.shift_remove("expires_at");
    }
    if let Some(id) = revival.new_id {
        set(&mut fields, "job_id", id)?;
        let has_correlation = correlation_id.is_some() || is_given(&fields, "correlation_id");
        if let Some(old) = account.job_id.as_deref().filter(|_| !has_correlation) {
            set(&mut fields, "correlation_id", old)?;
        }
    }
    if let Some(agents) = failed {
        fields.shift_remove("agent");
        set(&mut fields, "agents", agents)?;
    }
    serde_json::to_vec(&fields).ok()
}

fn set(fields: &mut Fields, name: &str, value: &(impl Serialize + ?Sized)) -> Option<()> {
    fields.insert(name.to_owned(), to_raw_value(value).ok()?);
    Some(())
}

/// `null` counts as absent.
fn is_given(fields: &Fields, name: &str) -> bool {
    fields.get(name).is_some_and(|value| value.get() != "null")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Incoming;

    const JOB: &str = r#"{"job_id":"j","queue":7,"agents":["1","2"],"expires_at":"2026-11-21T18:10:00Z","context":{"b": 1.0,"a":2}}"#;

    fn check(body: &str, revival: &Revival<'_>, expected: Option<&str>) {
        let message = Incoming::bare(body.to_owned());
        let headers = json!({"clockout-agents": "2"});
        let account = Account::of(&message, "7", headers.as_object().unwrap());
        let revived = revived(body.as_bytes(), &account, None, revival);
        let text = revived.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn without_a_wish_nothing_changes() {
        check(JOB, &Revival::default(), None);
    }

    #[test]
    fn asked_for_now_a_job_expires_as_a_new_one_does() {
        let revival = Revival {
            now: Some(Timestamp(1_795_284_600_000)),
            ..Revival::default()
        };
        let expected = r#"{"job_id":"j","queue":7,"agents":["1","2"],"context":{"b": 1.0,"a":2},"requested_at":"2026-11-21T18:10:00.000Z"}"#;
        check(JOB, &revival, Some(expected));
    }

    #[test]
    fn under_a_new_id_the_old_one_still_finds_its_outcomes() {
        let revival = Revival {
            new_id: Some("n"),
            ..Revival::default()
        };
        let expected = r#"{"job_id":"n","queue":"7","correlation_id":"j"}"#;
        check(r#"{"job_id":"j","queue":"7"}"#, &revival, Some(expected));
        let expected = r#"{"job_id":"n","correlation_id":"c"}"#;
        check(
            r#"{"job_id":"j","correlation_id":"c"}"#,
            &revival,
            Some(expected),
        );
    }

    #[test]
    fn only_those_that_failed_can_be_asked_for() {
        let revival = Revival {
            failed_only: true,
            ..Revival::default()
        };
        check(
            r#"{"agents":["1","2"],"queue":"7"}"#,
            &revival,
            Some(r#"{"agents":["2"],"queue":"7"}"#),
        );
        check(r#"{"agent":"2"}"#, &revival, Some(r#"{"agents":["2"]}"#));
    }

    #[test]
    fn what_is_no_object_stays_as_it_is() {
        let revival = Revival {
            now: Some(Timestamp(0)),
            new_id: Some("n"),
            failed_only: true,
        };
        for body in ["", "not json", "[1]", "{\"a\":", "7"] {
            check(body, &revival, None);
        }
    }
}

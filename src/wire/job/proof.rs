//! A job read before it is sent, by the same rules as after: for those who write jobs.

use bytes::Bytes;

use super::reading::Reading;
use super::value::{Kind, Problem};
use super::{Received, Settings};
use crate::engine::job::{Job, JobId, Timestamp};
use crate::wire::Incoming;

/// The job in `body`, or everything that is wrong with it, in words.
///
/// `name` makes up an id and is called only if the body brings none; such an id has to travel as the AMQP `message_id`.
/// Times that the worker would fill in are left open.
pub fn proofread(body: Bytes, name: &mut dyn FnMut() -> JobId) -> Result<Job, Vec<String>> {
    let message = Incoming::bare(body);
    let received = Received {
        message: &message,
        settings: &Settings {
            max_age: None,
            dry_run: false,
        },
        now: Timestamp(0),
    };
    let reading = Reading::of(&message);
    reading.job(received, name).map_err(|gravest| {
        if gravest.kind == Kind::MalformedJson {
            return vec![gravest.message];
        }
        let message = |problem: &Problem| problem.message.clone();
        reading.problems().map(message).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<Job, Vec<String>> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        proofread(body, &mut || JobId::parse("made-up").unwrap())
    }

    #[test]
    fn a_good_job_is_what_the_worker_will_read() {
        let job =
            check(r#"{"action":"pause","queue":10000,"agents":["570","553","570"]}"#).unwrap();
        assert_eq!(job.id.as_str(), "made-up");
        assert_eq!(job.targets().len(), 2);
        assert_eq!((job.requested_at, job.expires_at), (None, None));
        let named = check(r#"{"action":"pause","queue":"1","agent":"2","job_id":"j"}"#).unwrap();
        assert_eq!(named.id.as_str(), "j");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = check(r#"{"action":"pauze","agent":"5 70","dry_run":"yes"}"#).unwrap_err();
        let begin = |message: &String| message.split(' ').next().unwrap().to_owned();
        let fields: Vec<String> = wrong.iter().map(begin).collect();
        assert_eq!(fields, ["action", "queue", "agent", "dry_run"]);
    }

    #[test]
    fn what_is_no_json_is_told_as_that_alone() {
        let wrong = check(r#"{"action":"pause""#).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("the body is not JSON"), "{wrong:?}");
    }
}

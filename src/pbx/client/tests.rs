//! What cannot be seen from outside: that a call ends even where reqwest would not end it.

use tokio::net::TcpListener;

use super::*;
use crate::engine::batch::{BatchId, Cause};
use crate::engine::job::{Agent, PbxQueue};

const HOUR: Duration = Duration::from_hours(1);

/// Far longer than what is waited for.
const HANGS: Duration = Duration::from_secs(30);

fn batch() -> Batch {
    let lane = (PbxQueue::parse("10000").unwrap(), Action::Pause);
    let agent = Agent::parse("570").unwrap();
    Batch::new(BatchId(1), lane, Cause::Full, agent, Vec::new())
}

fn client(base_url: String, patience: Duration) -> Client {
    let settings = Settings {
        base_url,
        ca_pem: None,
        identity_pem: None,
        api_key: None,
        basic: None,
        connect_timeout: patience,
        timeout: patience,
        texts: texts::Settings::default(),
    };
    Client::new(&settings).unwrap()
}

#[test]
fn the_guard_around_a_call_comes_after_the_time_that_the_call_may_take() {
    let client = client("http://127.0.0.1:1".to_owned(), HOUR);
    assert_eq!(client.longest, HOUR + OVERDUE);
}

#[tokio::test]
async fn a_call_that_reqwest_never_ends_is_given_up_as_one_that_may_have_been_applied() {
    // Takes connections into its backlog and reads nothing.
    let pbx = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", pbx.local_addr().unwrap());
    let mut client = client(url, HOUR);
    client.longest = Duration::from_millis(50);
    let called = timeout(HANGS, client.call(&batch())).await.unwrap();
    let message = NO_REPLY.into();
    assert_eq!(called, CallResult::Ambiguous { message });
    let probed = timeout(HANGS, client.probe(Action::Pause)).await.unwrap();
    assert_eq!(probed, Err(Trouble::Mute));
}

//! Guards the wire of CONTRACT §3: the request to the byte, and how leniently the reply is read.

#[path = "../pbx_http/peer.rs"]
pub(crate) mod peer;

use std::io::Write as _;

use serde_json::{Value, json};

use self::peer::{Authority, Peer, Reaction, TlsPeer};
use crate::support::stage;

/// HTTP 200 with this body.
pub(crate) fn reply(body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn both_done() -> String {
    let item = |agent: &str| json!({"agent": agent, "message": "", "ok": 1, "queue": "10000"});
    let items = [item("570"), item("553")];
    reply(&json!({"success": 1, "message": "", "data": {"Data": items, "ok": 1}}))
}

fn job(action: &str) -> Value {
    json!({"action": action, "queue": 10000, "agents": ["570", "553"]})
}

#[tokio::test]
async fn a_call_goes_out_as_documented_to_the_byte() {
    let mut stage = stage().await;
    let mut pbx = Peer::start(Reaction::ReplyAndClose(both_done())).await;
    let _worker = stage
        .worker()
        .set("pbx.base_url", &format!("{}/pbx/", pbx.url()))
        .set("pbx.api_key", "key-1")
        .set("pbx.username", "shift")
        .start()
        .await;
    for (action, service) in [("pause", "batchpauseagent"), ("remove", "batchremoveagent")] {
        stage.send(job(action)).await;
        let request = pbx.request().await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let first = format!("POST /pbx/api/v4/pbx/queues/{service} HTTP/1.1");
        assert_eq!(lines.next(), Some(first.as_str()));
        let headers: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-apikey", "key-1"),
            // "shift:", the password is empty.
            ("authorization", "Basic c2hpZnQ6"),
        ] {
            assert!(
                headers.contains(&(name.to_owned(), value)),
                "{name} in {head}"
            );
        }
        assert_eq!(
            body,
            r#"{"agents":[{"queue":"10000","agent":"570"},{"queue":"10000","agent":"553"}]}"#
        );
        for outcome in stage.outcomes(2).await {
            assert_eq!(outcome["code"], "applied");
        }
    }
}

#[tokio::test]
async fn a_reply_is_matched_by_agent_and_read_leniently() {
    let mut stage = stage().await;
    let items = json!([
        {"agents": 553, "ok": "0", "message": "Not there", "queue": 10000},
        {"agent": 999, "ok": 1, "message": "never asked for", "queue": 10000},
        {"agent": "570", "ok": true, "message": null, "queue": "10000"},
    ]);
    let body = json!({"success": "1", "message": null, "data": {"data": items, "ok": "1"}});
    let pbx = Peer::start(Reaction::ReplyAndClose(reply(&body))).await;
    let worker = stage.worker().set("pbx.base_url", &pbx.url());
    let _worker = worker.start().await;
    stage.send(job("pause")).await;
    for outcome in stage.outcomes(2).await {
        let (code, message) = match outcome["agent"].as_str() {
            Some("570") => ("applied", Value::Null),
            _ => ("not_member", json!("Not there")),
        };
        assert_eq!(
            (&outcome["code"], &outcome["message"]),
            (&json!(code), &message)
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stage = stage().await;
    let location = format!("{}/api/v4/pbx/queues/batchpauseagent", stage.pbx.url());
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    );
    let pbx = Peer::start(Reaction::ReplyAndClose(redirect)).await;
    let worker = stage.worker().set("pbx.base_url", &pbx.url());
    let worker = worker.start().await;
    stage.send(job("pause")).await;
    let why = worker.answers("/readyz", 503).await;
    assert!(why.contains("307"), "{why}");
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn a_pbx_with_a_certificate_of_its_own_authority_is_called() {
    let mut stage = stage().await;
    let pbx = TlsPeer::start(both_done());
    let mut authority = tempfile::NamedTempFile::new().unwrap();
    authority.write_all(pbx.ca_pem().as_bytes()).unwrap();
    let worker = stage
        .worker()
        .set("pbx.base_url", &pbx.url())
        .set("pbx.ca_file", authority.path().to_str().unwrap());
    let _worker = worker.start().await;
    stage.send(job("pause")).await;
    for outcome in stage.outcomes(2).await {
        assert_eq!(outcome["code"], "applied");
    }
}

#[tokio::test]
async fn a_pbx_that_asks_for_a_client_certificate_is_shown_it_and_check_says_where_it_is_missing() {
    let mut stage = stage().await;
    let authority = Authority::new("the PBX's");
    let pbx = TlsPeer::demanding(both_done(), &authority);
    let (certificate, key) = authority.identity();
    let [trusted, identity] = [pbx.ca_pem(), certificate + &key].map(|pem| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(pem.as_bytes()).unwrap();
        file
    });
    let nameless = stage
        .worker()
        .set("pbx.base_url", &pbx.url())
        .set("pbx.ca_file", trusted.path().to_str().unwrap());
    let worker = nameless
        .clone()
        .set("pbx.cert_file", identity.path().to_str().unwrap())
        .set("pbx.key_file", identity.path().to_str().unwrap());
    let _worker = worker.clone().start().await;
    stage.send(job("pause")).await;
    for outcome in stage.outcomes(2).await {
        assert_eq!(outcome["code"], "applied");
    }
    for (setup, words) in [
        (worker, ["takes calls", "with a client certificate"]),
        (nameless, ["wants a client certificate", "pbx.cert_file"]),
    ] {
        let checked = setup.command(&["check"]).output().unwrap();
        let shown = String::from_utf8(checked.stdout).unwrap();
        for words in words {
            assert!(shown.contains(words), "{words} in {shown}");
        }
    }
}

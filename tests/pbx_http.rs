//! The promise of CONTRACT §3 on real sockets: what goes to the PBX byte for byte, and what each way in which a call
//! can end is taken for.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail it, too"
)]

#[path = "pbx_http/client_certificate.rs"]
mod client_certificate;
#[path = "pbx_http/peer.rs"]
mod peer;
#[path = "pbx_http/probe.rs"]
mod probe;

use std::time::Duration;

use clockout::engine::batch::{Batch, BatchId, Cause};
use clockout::engine::job::{Action, Agent, PbxQueue};
use clockout::engine::verdict::{Answer, CallResult};
use clockout::pbx::client::{Basic, Client, Settings};
use clockout::pbx::texts;
use peer::{Peer, Reaction, TlsPeer};
use rcgen::{CertificateParams, date_time_ymd};

const PAUSED: &str = include_str!("fixtures/pause_reply.json");

fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: base_url.to_owned(),
        ca_pem: None,
        identity_pem: None,
        api_key: None,
        basic: None,
        connect_timeout: Duration::from_secs(3),
        timeout: Duration::from_secs(10),
        texts: texts::Settings::default(),
    }
}

fn batch(action: Action) -> Batch {
    let agent = |number| Agent::parse(number).unwrap();
    let lane = (PbxQueue::parse("10000").unwrap(), action);
    Batch::new(
        BatchId(1),
        lane,
        Cause::Full,
        agent("570"),
        vec![agent("553")],
    )
}

async fn call(settings: &Settings) -> CallResult {
    Client::new(settings)
        .unwrap()
        .call(&batch(Action::Pause))
        .await
}

/// What a pause call comes to when the peer answers with these bytes.
async fn answer(reply: &str) -> CallResult {
    let peer = Peer::start(Reaction::reply(reply)).await;
    call(&settings(&peer.url())).await
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn refused(message: &str) -> CallResult {
    CallResult::Refused {
        message: message.into(),
    }
}

fn transient(message: &str, retry_after: Option<u64>) -> CallResult {
    let retry_after = retry_after.map(Duration::from_secs);
    CallResult::Transient {
        message: message.into(),
        retry_after,
    }
}

fn fault(message: &str, retry_after: Option<u64>) -> CallResult {
    let retry_after = retry_after.map(Duration::from_secs);
    CallResult::Fault {
        message: message.into(),
        retry_after,
    }
}

fn is_ambiguous(result: &CallResult) -> bool {
    matches!(result, CallResult::Ambiguous { .. })
}

fn is_transient(result: &CallResult) -> bool {
    matches!(result, CallResult::Transient { .. })
}

#[tokio::test]
async fn exactly_the_documented_request_goes_out() {
    for (action, path, body) in [
        (
            Action::Pause,
            "batchpauseagent",
            include_str!("fixtures/pause_request.json"),
        ),
        (
            Action::Remove,
            "batchremoveagent",
            include_str!("fixtures/remove_request.json"),
        ),
    ] {
        let mut peer = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
        let mut settings = settings(&peer.url());
        settings.api_key = Some("SAMPLE_API_KEY".into());
        settings.basic = Some(Basic {
            username: "sadr".to_owned(),
            password: "".into(),
        });
        let client = Client::new(&settings).unwrap();
        client.call(&batch(action)).await;
        let request = peer.request().await;
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(sent, body);
        assert!(
            head.starts_with(&format!("POST /api/v4/pbx/queues/{path} HTTP/1.1\r\n")),
            "{head}"
        );
        for header in [
            "content-type: application/json",
            "x-apikey: SAMPLE_API_KEY",
            "authorization: Basic c2Fkcjo=",
            &format!("content-length: {}", body.len()),
        ] {
            let found = head.lines().any(|line| line.eq_ignore_ascii_case(header));
            assert!(found, "{header} in {head}");
        }
    }
}

#[tokio::test]
async fn without_credentials_none_are_sent() {
    let mut peer = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
    call(&settings(&peer.url())).await;
    let request = peer.request().await.to_lowercase();
    assert!(
        !request.contains("x-apikey") && !request.contains("authorization"),
        "{request}"
    );
}

#[tokio::test]
async fn no_slash_is_ever_doubled() {
    for (base, path) in [
        ("", "/api/v4/pbx/queues/batchpauseagent"),
        ("//", "/api/v4/pbx/queues/batchpauseagent"),
        ("/simotel", "/simotel/api/v4/pbx/queues/batchpauseagent"),
        ("//a//b//", "/a/b/api/v4/pbx/queues/batchpauseagent"),
    ] {
        let mut peer = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
        call(&settings(&format!("{}{base}", peer.url()))).await;
        assert_eq!(peer.request().await.split(' ').nth(1), Some(path));
    }
}

#[tokio::test]
async fn the_documented_reply_is_done_for_both_agents() {
    let CallResult::Answered(items) = answer(&http("200 OK", "", PAUSED)).await else {
        panic!("not answered");
    };
    let mut agents: Vec<_> = items.iter().map(|item| item.agent.to_string()).collect();
    agents.sort();
    assert_eq!(agents, ["553", "570"]);
    assert!(items.iter().all(|item| item.answer == Answer::Done));
}

#[tokio::test]
async fn a_batch_refused_as_a_whole_keeps_the_pbxs_text() {
    let body = r#"{"success":0,"message":"Unable to parse content","data":[]}"#;
    for status in [
        "200 OK",
        "400 Bad Request",
        "402 X",
        "406 X",
        "409 X",
        "413 X",
        "422 X",
        "431 X",
    ] {
        let result = answer(&http(status, "", body)).await;
        assert_eq!(result, refused("Unable to parse content"), "{status}");
    }
    let html = answer(&http("400 Bad Request", "", "<html>")).await;
    assert_eq!(html, refused("HTTP 400 Bad Request"));
}

#[tokio::test]
async fn a_refusal_whose_text_is_in_the_retry_list_is_transient() {
    let body = r#"{"success":0,"message":"Requested operation failed","data":[]}"#;
    for status in ["200 OK", "400 Bad Request"] {
        let result = answer(&http(status, "retry-after: 2\r\n", body)).await;
        assert_eq!(
            result,
            transient("Requested operation failed", Some(2)),
            "{status}"
        );
    }
}

#[tokio::test]
async fn overload_is_transient_and_says_how_long_to_wait() {
    for status in [408, 425, 429, 500, 502, 503, 504, 507, 599] {
        let reply = http(&format!("{status} X"), "Retry-After: 7\r\n", "<html>");
        let CallResult::Transient {
            message,
            retry_after,
        } = answer(&reply).await
        else {
            panic!("{status}");
        };
        assert!(message.starts_with(&format!("HTTP {status}")), "{message}");
        assert!(!message.contains('<'), "{message}");
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn retry_after_may_be_a_date_and_never_exceeds_ten_minutes() {
    let reply = http(
        "503 X",
        "Retry-After: Thu, 31 Dec 2198 23:59:59 GMT\r\n",
        "",
    );
    let CallResult::Transient { retry_after, .. } = answer(&reply).await else {
        panic!()
    };
    assert_eq!(retry_after, None, "31 December 2198 is no Thursday");
    let reply = http(
        "503 X",
        "Retry-After: Mon, 31 Dec 2198 23:59:59 GMT\r\n",
        "",
    );
    let CallResult::Transient { retry_after, .. } = answer(&reply).await else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_mins(10)));
    let reply = http(
        "503 X",
        "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "",
    );
    let CallResult::Transient { retry_after, .. } = answer(&reply).await else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::ZERO));
}

#[tokio::test]
async fn what_is_wrong_for_every_job_is_a_fault() {
    for status in [
        "401", "403", "404", "405", "415", "501", "300", "301", "302", "304", "307", "308",
    ] {
        let reply = http(
            &format!("{status} X"),
            "Retry-After: 3\r\nLocation: /elsewhere\r\n",
            "",
        );
        let CallResult::Fault {
            message,
            retry_after,
        } = answer(&reply).await
        else {
            panic!("{status}");
        };
        assert!(message.starts_with(&format!("HTTP {status}")), "{message}");
        assert_eq!(retry_after, Some(Duration::from_secs(3)));
    }
    let body = r#"{"success":0,"message":"ApiKey is invalid","data":[]}"#;
    assert_eq!(
        answer(&http("401 X", "", body)).await,
        fault("ApiKey is invalid", None)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_carries_no_credentials_away() {
    let elsewhere = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
    let location = format!("Location: {}/x\r\n", elsewhere.url());
    let peer = Peer::start(Reaction::reply(&http(
        "307 Temporary Redirect",
        &location,
        "",
    )))
    .await;
    let mut settings = settings(&peer.url());
    settings.api_key = Some("SAMPLE_API_KEY".into());
    assert_eq!(
        call(&settings).await,
        fault("HTTP 307 Temporary Redirect", None)
    );
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_2xx_that_cannot_be_read_is_ambiguous() {
    for reply in [
        http("200 OK", "", "<html>It works</html>"),
        http("200 OK", "", "[]"),
        http("200 OK", "", "{}"),
        http("204 No Content", "", ""),
        http("200 OK", "", r#"{"success":1"#),
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":1}".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"suc\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-le".to_owned(),
        "no HTTP at all\r\n\r\n".to_owned(),
    ] {
        let result = answer(&reply).await;
        assert!(is_ambiguous(&result), "{reply}: {result:?}");
    }
}

#[tokio::test]
async fn a_reply_longer_than_a_mebibyte_is_ambiguous() {
    let body = |bytes: usize| {
        format!(
            "{{\"success\":1,\"message\":\"{}\"}}",
            "x".repeat(bytes - 26)
        )
    };
    let fits = answer(&http("200 OK", "", &body(1024 * 1024))).await;
    assert_eq!(fits, CallResult::Answered(Vec::new()));
    let result = answer(&http("200 OK", "", &body(1024 * 1024 + 1))).await;
    assert!(is_ambiguous(&result), "{result:?}");
    let error = answer(&http("503 X", "", &body(1024 * 1024 + 1))).await;
    assert!(is_transient(&error), "{error:?}");
}

#[tokio::test]
async fn a_reply_without_end_is_given_up_whether_it_floods_or_drips() {
    let flood = (1 << 20, Duration::ZERO, Duration::from_secs(30));
    let drip = (1, Duration::from_millis(20), Duration::from_millis(300));
    for (piece, pause, timeout) in [flood, drip] {
        let mut peer = Peer::start(Reaction::Endless { piece, pause }).await;
        let mut settings = settings(&peer.url());
        settings.timeout = timeout;
        let result = call(&settings).await;
        assert!(is_ambiguous(&result), "{result:?}");
        // The peer can write no more: nobody reads on.
        peer.closed().await;
    }
}

#[tokio::test]
async fn a_connection_closed_after_the_request_is_ambiguous() {
    let peer = Peer::start(Reaction::Close).await;
    let result = call(&settings(&peer.url())).await;
    assert!(is_ambiguous(&result), "{result:?}");
}

#[tokio::test]
async fn a_peer_that_never_answers_is_ambiguous() {
    let peer = Peer::start(Reaction::Silence).await;
    let mut settings = settings(&peer.url());
    settings.timeout = Duration::from_millis(200);
    let result = call(&settings).await;
    assert!(is_ambiguous(&result), "{result:?}");
}

#[tokio::test]
async fn a_reply_that_stalls_is_ambiguous() {
    let peer = Peer::start(Reaction::Stall(
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into(),
    ))
    .await;
    let mut settings = settings(&peer.url());
    settings.timeout = Duration::from_millis(200);
    let result = call(&settings).await;
    assert!(is_ambiguous(&result), "{result:?}");
}

#[tokio::test]
async fn a_refused_connection_is_transient() {
    let url = peer::unused_url().await;
    let result = call(&settings(&url)).await;
    assert!(is_transient(&result), "{result:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_transient() {
    let result = call(&settings("http://pbx.invalid")).await;
    assert!(is_transient(&result), "{result:?}");
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_transient() {
    let peer = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
    let mut settings = settings(&peer.url().replace("http:", "https:"));
    settings.connect_timeout = Duration::from_millis(200);
    let result = call(&settings).await;
    assert!(is_transient(&result), "{result:?}");
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced() {
    let mut peer = Peer::start(Reaction::ReplyAndClose(http("200 OK", "", PAUSED))).await;
    let client = Client::new(&settings(&peer.url())).unwrap();
    for _ in 0..3 {
        let result = client.call(&batch(Action::Pause)).await;
        assert!(matches!(result, CallResult::Answered(_)), "{result:?}");
        peer.closed().await;
    }
    assert_eq!(peer.connections(), 3);
}

#[tokio::test]
async fn the_own_certificate_authority_is_trusted_and_no_other() {
    let peer = TlsPeer::start(http("200 OK", "", PAUSED));
    let mut settings = settings(&peer.url());
    settings.ca_pem = Some(peer.ca_pem().into());
    let trusted = call(&settings).await;
    assert!(matches!(trusted, CallResult::Answered(_)), "{trusted:?}");

    settings.ca_pem = Some(TlsPeer::start(String::new()).ca_pem().into());
    let result = call(&settings).await;
    assert!(is_transient(&result), "{result:?}");

    settings.ca_pem = Some(b"no certificate".to_vec());
    let error = Client::new(&settings).unwrap_err();
    assert!(error.to_string().contains("pbx.ca_file"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_over_or_for_another_name_is_not_trusted() {
    let expired: fn(&mut CertificateParams) = |params| params.not_after = date_time_ymd(2020, 1, 1);
    let another: fn(&mut CertificateParams) =
        |params| *params = CertificateParams::new(["pbx.example".to_owned()]).unwrap();
    for (spoil, why) in [(expired, "expired"), (another, "not valid for name")] {
        let peer = TlsPeer::start_with(http("200 OK", "", PAUSED), spoil);
        let mut settings = settings(&peer.url());
        settings.ca_pem = Some(peer.ca_pem().into());
        let CallResult::Transient { message, .. } = call(&settings).await else {
            panic!("{why} passed")
        };
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn no_secret_shows_in_debug_output_or_errors() {
    let mut settings = settings("http://127.0.0.1:1");
    settings.api_key = Some("hush-key".into());
    settings.basic = Some(Basic {
        username: "u".to_owned(),
        password: "hush-word".into(),
    });
    let client = Client::new(&settings).unwrap();
    let result = client.call(&batch(Action::Remove)).await;
    let shown = format!("{settings:?} {client:?} {result:?}");
    assert!(!shown.contains("hush"), "{shown}");

    settings.base_url = "http://user:hush@pbx".to_owned();
    let error = Client::new(&settings).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));

    settings.base_url = "http://pbx".to_owned();
    settings.api_key = Some("hush\n".into());
    let error = Client::new(&settings).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[tokio::test]
async fn a_foreign_text_comes_out_bounded_and_on_one_line() {
    let body = format!(
        r#"{{"success":0,"message":"bad\r\n\u001b[31m{}"}}"#,
        "x".repeat(10_000)
    );
    let CallResult::Refused { message } = answer(&http("400 X", "", &body)).await else {
        panic!()
    };
    assert!(
        message.chars().count() <= 500 && !message.chars().any(char::is_control),
        "{message}"
    );
    assert!(message.starts_with("bad [31mxxx"), "{message}");
}

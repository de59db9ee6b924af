//! The call about nobody that `clockout check` makes: what goes out, and what each answer is taken for.

use clockout::pbx::client::Trouble;

use super::*;

pub(crate) async fn probe(settings: &Settings) -> Result<(), Trouble> {
    Client::new(settings).unwrap().probe(Action::Pause).await
}

/// What a probe comes to when the peer answers with these bytes.
async fn probed(reply: &str) -> Result<(), Trouble> {
    let peer = Peer::start(Reaction::reply(reply)).await;
    probe(&settings(&peer.url())).await
}

#[tokio::test]
async fn a_probe_names_no_agent_and_goes_where_calls_go() {
    for (action, path) in [
        (Action::Pause, "batchpauseagent"),
        (Action::Remove, "batchremoveagent"),
    ] {
        let mut peer = Peer::start(Reaction::reply(&http("200 OK", "", PAUSED))).await;
        let mut settings = settings(&peer.url());
        settings.api_key = Some("SAMPLE_API_KEY".into());
        Client::new(&settings).unwrap().probe(action).await.unwrap();
        let request = peer.request().await;
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(sent, r#"{"agents":[]}"#);
        assert!(
            head.contains(&format!("/api/v4/pbx/queues/{path} HTTP")),
            "{head}"
        );
        assert!(head.contains("x-apikey: SAMPLE_API_KEY"), "{head}");
    }
}

#[tokio::test]
async fn whatever_the_pbx_says_of_nobody_it_would_take_calls() {
    for (status, body) in [
        (
            "200 OK",
            r#"{"success":1,"message":"","data":{"Data":[],"ok":1}}"#,
        ),
        (
            "200 OK",
            r#"{"success":0,"message":"Field 'agents':value is missing","data":[]}"#,
        ),
        (
            "200 OK",
            r#"{"success":0,"message":"Requested operation failed","data":[]}"#,
        ),
        (
            "400 Bad Request",
            r#"{"success":0,"message":"Unable to parse content"}"#,
        ),
    ] {
        assert_eq!(
            probed(&http(status, "", body)).await,
            Ok(()),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn each_refusal_is_told_from_the_others() {
    let path = "/api/v4/pbx/queues/batchpauseagent";
    let said = |words: &str| words.into();
    let envelope = |message: &str| format!(r#"{{"success":0,"message":"{message}"}}"#);
    for (status, body, trouble) in [
        (
            "401 Unauthorized",
            envelope("ApiKey is invalid"),
            Trouble::Credentials {
                said: said("ApiKey is invalid"),
            },
        ),
        (
            "403 Forbidden",
            envelope("IP is not permitted"),
            Trouble::Denied {
                path,
                said: said("IP is not permitted"),
            },
        ),
        (
            "404 Not Found",
            "<html>".to_owned(),
            Trouble::Unknown {
                path,
                said: said("HTTP 404 Not Found"),
            },
        ),
        (
            "501 Not Implemented",
            envelope("Requested service does not exist"),
            Trouble::Unknown {
                path,
                said: said("Requested service does not exist"),
            },
        ),
        (
            "301 Moved Permanently",
            String::new(),
            Trouble::Elsewhere {
                said: said("HTTP 301 Moved Permanently"),
            },
        ),
        (
            "503 Service Unavailable",
            String::new(),
            Trouble::Failing {
                said: said("HTTP 503 Service Unavailable"),
            },
        ),
        (
            "200 OK",
            "<html>welcome</html>".to_owned(),
            Trouble::Stranger {
                why: said("the reply is not JSON"),
            },
        ),
        (
            "400 Bad Request",
            "The plain HTTP request was sent to HTTPS port".to_owned(),
            Trouble::Stranger {
                why: said("the reply is not JSON"),
            },
        ),
    ] {
        assert_eq!(
            probed(&http(status, "", &body)).await,
            Err(trouble),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_two_troubles() {
    let nobody = probe(&settings(&peer::unused_url().await)).await;
    assert!(
        matches!(nobody, Err(Trouble::Unreachable { .. })),
        "{nobody:?}"
    );
    let peer = Peer::start(Reaction::Silence).await;
    let mut impatient = settings(&peer.url());
    impatient.timeout = Duration::from_millis(200);
    assert_eq!(probe(&impatient).await, Err(Trouble::Mute));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_named_as_the_cause() {
    let peer = TlsPeer::start(http("200 OK", "", PAUSED));
    let mut settings = settings(&peer.url());
    settings.ca_pem = Some(TlsPeer::start(String::new()).ca_pem().into());
    let trouble = probe(&settings).await.unwrap_err().to_string();
    for words in ["invalid peer certificate", "pbx.ca_file"] {
        assert!(trouble.contains(words), "{trouble}");
    }
}

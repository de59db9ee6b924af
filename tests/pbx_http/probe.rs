//! The call about nobody that `clockout check` makes: what goes out, and what each answer is taken for.

use clockout::pbx::client::{Reception, Trouble};

use super::*;

pub(crate) async fn probe(settings: &Settings) -> Result<Reception, Trouble> {
    Client::new(settings).unwrap().probe(Action::Pause).await
}

/// What a probe comes to when the peer answers with these bytes.
async fn probed(reply: &str) -> Result<Reception, Trouble> {
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
        let client = Client::new(&settings).unwrap();
        assert_eq!(client.probe(action).await, Ok(Reception::Taken));
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

/// Whether it speaks of agents says that it came as far as to look at them.
#[tokio::test]
async fn what_the_pbx_says_of_nobody_is_kept_and_no_trouble() {
    let nobody = r#"{"success":1,"message":"","data":{"Data":[],"ok":1}}"#;
    assert_eq!(
        probed(&http("200 OK", "", nobody)).await,
        Ok(Reception::Taken)
    );
    for (status, said, speaks_of_agents) in [
        ("200 OK", "Field 'agents':value is missing", true),
        ("200 OK", "Requested operation failed", false),
        ("200 OK", "ApiKey is invalid", false),
        ("400 Bad Request", "Unable to parse content", false),
    ] {
        let body = format!(r#"{{"success":0,"message":"{said}","data":[]}}"#);
        let reception = probed(&http(status, "", &body)).await.unwrap();
        assert_eq!(reception.speaks_of_agents(), speaks_of_agents, "{said}");
        assert_eq!(reception, Reception::Refused { said: said.into() });
    }
    for (status, body, said) in [
        ("200 OK", r#"{"success":0}"#, "HTTP 200 OK"),
        (
            "400 Bad Request",
            r#"{"success":1}"#,
            "HTTP 400 Bad Request",
        ),
    ] {
        let reception = probed(&http(status, "", body)).await;
        assert_eq!(reception, Ok(Reception::Refused { said: said.into() }));
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, a row each")]
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
                retry_after: None,
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

//! A PBX that asks for a client certificate.

use clockout::pbx::client::Reception;

use super::peer::Authority;
use super::probe::probe;
use super::*;

fn demanding(authority: &Authority) -> (TlsPeer, Settings) {
    let peer = TlsPeer::demanding(http("200 OK", "", PAUSED), authority);
    let mut settings = settings(&peer.url());
    settings.ca_pem = Some(peer.ca_pem().into());
    (peer, settings)
}

fn show(authority: &Authority, settings: &mut Settings) {
    let (certificate, key) = authority.identity();
    settings.identity_pem = Some(format!("{certificate}{key}").into_bytes().into());
}

#[tokio::test]
async fn a_pbx_that_demands_a_client_certificate_answers_to_it() {
    let trusted = Authority::new("ours");
    let (_peer, mut settings) = demanding(&trusted);
    show(&trusted, &mut settings);
    let result = call(&settings).await;
    assert!(matches!(result, CallResult::Answered(_)), "{result:?}");
    assert_eq!(probe(&settings).await, Ok(Reception::Taken));
}

#[tokio::test]
async fn without_the_certificate_and_with_a_foreign_one_nothing_was_applied_and_the_error_says_what_to_do()
 {
    let trusted = Authority::new("ours");
    let (_peer, without) = demanding(&trusted);
    let mut foreign = without.clone();
    show(&Authority::new("theirs"), &mut foreign);
    let mut namesake = without.clone();
    show(&Authority::new("ours"), &mut namesake);
    for (settings, alert) in [
        (without, "CertificateRequired"),
        (foreign, "UnknownCA"),
        (namesake, "DecryptError"),
    ] {
        let CallResult::Transient { message, .. } = call(&settings).await else {
            panic!("{alert}");
        };
        let trouble = probe(&settings).await.unwrap_err().to_string();
        for said in [message.as_ref(), trouble.as_str()] {
            for words in ["wants a client certificate", alert, "pbx.cert_file"] {
                assert!(said.contains(words), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_no_obstacle_where_none_is_asked_for() {
    let peer = TlsPeer::start(http("200 OK", "", PAUSED));
    let mut settings = settings(&peer.url());
    settings.ca_pem = Some(peer.ca_pem().into());
    show(&Authority::new("ours"), &mut settings);
    let result = call(&settings).await;
    assert!(matches!(result, CallResult::Answered(_)), "{result:?}");
}

#[tokio::test]
async fn an_identity_that_is_none_is_named_and_its_key_never_shown() {
    let mut settings = settings("https://127.0.0.1:1");
    settings.ca_pem = Some(TlsPeer::start(String::new()).ca_pem().into());
    let (certificate, key) = Authority::new("ours").identity();
    let secret = key.lines().nth(1).unwrap();
    for without_a_part in [&certificate, &key] {
        settings.identity_pem = Some(without_a_part.clone().into_bytes().into());
        let error = Client::new(&settings).unwrap_err();
        let shown = format!("{error} {error:?} {settings:?}");
        assert!(shown.contains("pbx.cert_file and pbx.key_file"), "{shown}");
        assert!(!shown.contains(secret), "{shown}");
    }
    settings.identity_pem = Some(format!("{certificate}{key}").into_bytes().into());
    let client = Client::new(&settings).unwrap();
    let result = client.call(&batch(Action::Pause)).await;
    let shown = format!("{settings:?} {client:?} {result:?}");
    let bytes = format!("{:?}", secret.as_bytes());
    assert!(!shown.contains(secret), "{shown}");
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

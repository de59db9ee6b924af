//! The PBX as `check` finds it: there or not, willing or not.

use clockout::pbx::sim::{Options, Sim};
use secrecy::SecretString;

use super::*;
use crate::requests::peer::{Peer, Reaction};
use crate::requests::reply;

/// A PBX that asks for a key, and for a user name and password.
async fn strict() -> Sim {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options {
        api_key: Some(SecretString::from("right-key")),
        basic: Some(("clockout".to_owned(), SecretString::from("right-word"))),
        ..Options::default()
    };
    Sim::start(any_port, options).await.unwrap()
}

#[tokio::test]
async fn credentials_are_tried_without_calling_for_any_agent() {
    let (place, pbx) = (place(), strict().await);
    let setup = WorkerSetup::new(&place, &pbx.url());
    let right = setup
        .clone()
        .set("pbx.api_key", "right-key")
        .set("pbx.username", "clockout")
        .set("pbx.password", "right-word");
    let checked = check(&right).await;
    checked.is_good();
    checked.says(&[
        "✓",
        "with this key, user name and password: \"Field 'agents':value is missing\"",
        "credentials were not refused by status",
    ]);

    for (setup, said) in [
        (setup, "ApiKey is missing"),
        (
            right.clone().set("pbx.api_key", "wrong-key"),
            "ApiKey is invalid",
        ),
        (
            right.set("pbx.password", "wrong-word"),
            "BasicAuth is invalid",
        ),
    ] {
        let checked = check(&setup).await;
        checked.finds(&["refuses the credentials", said, "correct"]);
        for secret in ["right-key", "wrong-key", "right-word", "wrong-word"] {
            assert!(!checked.shown.contains(secret), "{}", checked.shown);
        }
    }
    assert_eq!(pbx.calls(0), []);
}

#[tokio::test]
async fn a_key_that_is_refused_with_200_is_not_shown_as_one_that_is_taken() {
    let refusal = json!({"success": 0, "message": "ApiKey is invalid", "data": []});
    let pbx = Peer::start(Reaction::ReplyAndClose(reply(&refusal))).await;
    let setup = WorkerSetup::new(&place(), &pbx.url()).set("pbx.api_key", "wrong-key");
    let checked = check(&setup).await;
    checked.says(&[
        "!",
        "with this key: \"ApiKey is invalid\"",
        "not refused by status: see whether",
    ]);
    assert!(!checked.shown.contains("takes calls"), "{}", checked.shown);
    checked.is_good();
}

#[tokio::test]
async fn a_pbx_that_is_not_there_or_not_the_pbx_is_named() {
    let (place, pbx) = (place(), pbx().await);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let elsewhere = format!("{}/telephony", pbx.url());
    let setup = |url: &str| WorkerSetup::new(&place, url);
    let checked = check(&setup(&nobody)).await;
    checked.finds(&[&nobody, "cannot be reached", "pbx.base_url"]);
    let checked = check(&setup(&elsewhere)).await;
    assert_eq!(checked.code, Some(1));
    checked.says(&[
        &elsewhere,
        "does not know",
        "batchpauseagent",
        "pbx.base_url",
    ]);
}

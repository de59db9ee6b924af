//! `amqps://` with a CA of our own and a client certificate.

use clockout::broker::ClientIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use secrecy::SecretSlice;

use super::*;
use crate::support::{self, Node};

pub struct Identity {
    pub cert_pem: String,
    pub key_pem: String,
}

pub fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // A subject of its own: where it equals the issuer, the server takes a certificate for self-signed.
    params
        .distinguished_name
        .push(DnType::CommonName, "the test's CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub fn identity(authority: &CertifiedIssuer<'static, KeyPair>) -> Identity {
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    identity_of(&params, authority)
}

fn identity_of(
    params: &CertificateParams,
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity {
        cert_pem: params.signed_by(&key, authority).unwrap().pem(),
        key_pem: key.serialize_pem(),
    }
}

#[tokio::test]
async fn tls_needs_the_right_ca_and_shows_the_client_certificate() {
    let ours = authority();
    let server = identity(&ours);
    let node = Node::start_with_tls(&support::Tls {
        ca: ours.pem(),
        certificate: server.cert_pem,
        key: server.key_pem,
        demands_client_certificate: true,
    });
    let client = identity(&ours);
    let mut secure = settings(&node.place());
    let port = node.tls_port();
    secure.addresses.first.url =
        SecretString::from(format!("amqps://guest:guest@localhost:{port}/%2f"));
    secure.tls = Tls {
        ca_pem: Some(ours.pem().into_bytes()),
        client: Some(ClientIdentity {
            cert_pem: client.cert_pem.into_bytes(),
            key_pem: SecretSlice::from(client.key_pem.into_bytes()),
        }),
    };

    let mut side = Side::start(secure.clone());
    side.up().await;
    side.publish(vec![outcome(1, "over.tls")]).await;
    assert_eq!(side.told(1).await, [(TellId(1), Published::Confirmed)]);
    side.close().await;

    let mut strange = secure.clone();
    strange.tls.ca_pem = Some(authority().pem().into_bytes());
    let why = unreachable(strange).await;
    assert!(why.contains("do not agree on TLS"), "{why}");

    let mut nameless = secure;
    nameless.tls.client = None;
    let why = unreachable(nameless).await;
    assert!(why.contains("TLS") || why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_broker_whose_certificate_is_over_or_for_another_name_is_not_trusted() {
    let ours = authority();
    let mut expired = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let another = CertificateParams::new(vec!["rabbit.example".to_owned()]).unwrap();
    for (params, expected) in [(expired, "expired"), (another, "not valid for name")] {
        let server = identity_of(&params, &ours);
        let node = Node::start_with_tls(&support::Tls {
            ca: ours.pem(),
            certificate: server.cert_pem,
            key: server.key_pem,
            demands_client_certificate: false,
        });
        let mut settings = settings(&node.place());
        let port = node.tls_port();
        settings.addresses.first.url =
            SecretString::from(format!("amqps://guest:guest@localhost:{port}/%2f"));
        settings.tls.ca_pem = Some(ours.pem().into_bytes());
        let why = unreachable(settings).await;
        assert!(
            why.contains("do not agree on TLS") && why.contains(expected),
            "{why}"
        );
    }
}

async fn unreachable(settings: Settings) -> String {
    Side::start(settings)
        .until(|event| match event {
            Event::Unreachable { why } => Some(why),
            _ => None,
        })
        .await
}

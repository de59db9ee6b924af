//! A client certificate and its key: both or neither, and made for each other.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::check::Check;
use crate::broker::ClientIdentity;

/// What `cert_file` and `key_file` of this section hold, as PEM. `None` also if neither was given.
pub(super) fn read(
    section: &str,
    cert_file: Option<String>,
    key_file: Option<String>,
    check: &mut Check,
) -> Option<ClientIdentity> {
    let cert_key = format!("{section}.cert_file");
    let key_key = format!("{section}.key_file");
    for (given, missing, key, other) in [
        (&cert_file, &key_file, &cert_key, &key_key),
        (&key_file, &cert_file, &key_key, &cert_key),
    ] {
        if given.is_some() && missing.is_none() {
            check.refuse(
                key,
                format_args!("is given without {other}"),
                "both, or neither",
            );
        }
    }
    let cert_pem = check.pem(&cert_key, cert_file, "CERTIFICATE");
    let key_pem = check.pem(&key_key, key_file, "PRIVATE KEY");
    let (cert_pem, key_pem) = cert_pem.zip(key_pem)?;
    let key_pem = SecretSlice::from(key_pem);

    let Ok(chain) = CertificateDer::pem_slice_iter(&cert_pem).collect::<Result<Vec<_>, _>>() else {
        let expected = "certificates in PEM, the client's own first";
        check.refuse(&cert_key, "names a file that is no PEM", expected);
        return None;
    };
    let Ok(key) = PrivateKeyDer::from_pem_slice(key_pem.expose_secret()) else {
        let wrong = "names a file whose key cannot be read";
        check.refuse(&key_key, wrong, "a key in PEM that is not encrypted");
        return None;
    };
    if let Err(error) = CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        let wrong = format_args!("names a key that does not do for {cert_key}: {error}");
        check.refuse(&key_key, wrong, "the key of that certificate");
        return None;
    }
    Some(ClientIdentity { cert_pem, key_pem })
}

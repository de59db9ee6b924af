//! The HTTP client behind every request that goes out, to the PBX or to a receiver of traces: what holds for both.
//!
//! It does nothing of its own accord: follows no redirect, which would carry credentials elsewhere, takes no proxy from the
//! environment, and tries nothing twice. What is asked and what an answer means are its users' business. Public is only what is
//! fuzzed.

pub mod retry_after;

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder};
use rustls::AlertDescription;

/// Whose certificates are accepted.
#[derive(Debug)]
pub(crate) enum Trust {
    /// For plain HTTP. Looking for the system's certificates would fail in a container that has none.
    Nobody,
    /// The certificate authorities of the system.
    System,
    Only(Vec<Certificate>),
}

impl Trust {
    /// What an address calls for where nothing else is set.
    pub(crate) fn by_scheme(scheme: &str) -> Self {
        if scheme == "https" {
            Self::System
        } else {
            Self::Nobody
        }
    }
}

/// A client without time limits, which its user sets.
pub(crate) fn builder(trust: Trust) -> ClientBuilder {
    // Whoever comes first installs it for the process; it is the same provider everywhere.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("clockout/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true);
    match trust {
        Trust::Nobody => builder.tls_certs_only([]),
        Trust::System => builder,
        Trust::Only(certificates) => builder.tls_certs_only(certificates),
    }
}

/// How long an answer asks to be left alone; `None` if it does not, or not legibly.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a date in Retry-After means the wall clock of this very moment"
    )]
    let now = SystemTime::now();
    retry_after::parse(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The innermost cause, in words: the outer ones repeat the address and name libraries.
pub(crate) fn root_cause(error: &reqwest::Error) -> Option<String> {
    causes(error).last().map(ToString::to_string)
}

/// From the outermost to the innermost.
pub(crate) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// Whether the other side ended TLS because of the client certificate, or for want of one. With TLS 1.3 its word comes after
/// the client's handshake is over, and a request may be written by then; it is never read.
pub(crate) fn is_certificate_refused(error: &reqwest::Error) -> bool {
    let mut tls = causes(error).filter_map(|cause| {
        let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
        inner.downcast_ref::<rustls::Error>()
    });
    tls.any(|error| {
        matches!(
            error,
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                    | AlertDescription::BadCertificate
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::UnknownCA
                    | AlertDescription::DecryptError
                    | AlertDescription::AccessDenied
            )
        )
    })
}

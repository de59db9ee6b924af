//! Calls the PBX over HTTP. reqwest lives only here.

use std::time::Duration;

use secrecy::SecretString;

use super::texts;

/// Where the PBX is and how to call it (CONTRACT §3, §7).
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http` or `https`, host, perhaps a port and a path; no slash at the end.
    pub base_url: String,
    /// `None`: the certificate authorities of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Header `X-APIKEY`.
    pub api_key: Option<SecretString>,
    /// Header `Authorization: Basic`.
    pub basic: Option<Basic>,
    pub connect_timeout: Duration,
    /// One whole call, connecting included.
    pub timeout: Duration,
    pub texts: texts::Settings,
}

/// Credentials of HTTP basic authentication.
#[derive(Debug, Clone)]
pub struct Basic {
    pub username: String,
    /// May be empty.
    pub password: SecretString,
}

//! One batch → one HTTP request → one [`CallResult`].//!
//! Every attempt is the engine's decision, and every byte goes to the PBX that was named. What an answer means is [`super::status`]'s and [`super::reply`]'s business.

mod probe;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Method, Request, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::time::timeout;

use super::reply::{self, Decoded};
use super::request;
use super::status::{self, Kind};
use super::texts::{self, Texts, legible};
use crate::engine::batch::Batch;
use crate::engine::job::Action;
use crate::engine::verdict::CallResult;
use crate::http_client::{self, Trust};

pub use probe::{Reception, Trouble};

/// Where the PBX is and how to call it (CONTRACT §3, §7).
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http` or `https`, host, perhaps a port and a path; no slash at the end.
    pub base_url: String,
    /// The only certificate authorities trusted, in PEM. `None`: those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// The client certificate that is shown to a PBX that asks for one, and its key, in PEM.
    pub identity_pem: Option<SecretSlice<u8>>,
    /// Header `X-APIKEY`.
    pub api_key: Option<SecretString>,
    /// Header `Authorization: Basic`.
    pub basic: Option<Basic>,
    pub connect_timeout: Duration,
    /// One whole call, connecting included; so above `connect_timeout`, or a PBX that cannot be reached looks like
    /// one that does not answer.
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

/// The settings cannot make a client. No variant repeats a value: there may be a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("pbx.base_url must be an http or https address without user name, query or fragment")]
    BaseUrl,
    #[error("pbx.api_key must be printable ASCII, as it travels in an HTTP header")]
    ApiKey,
    #[error("pbx.ca_file must hold certificates in PEM")]
    CaFile,
    #[error("pbx.cert_file and pbx.key_file must hold a certificate and its key in PEM")]
    Identity,
    #[error("TLS cannot be set up: {0}")]
    Tls(Arc<str>),
}

/// Longest reply body that is read, in bytes; 500 items take about 50 KiB. Full of the smallest objects, it takes some 100 MB
/// while it is read.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

const NO_REPLY: &str = "no reply in time";

/// How long after its deadline a call is given up that reqwest, which keeps the same one, has not ended.
const OVERDUE: Duration = Duration::from_secs(1);

/// Speaks to one PBX; cheap to clone, connections are shared.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pause: Url,
    remove: Url,
    /// The same for every call, credentials included.
    headers: HeaderMap,
    texts: Texts,
    longest: Duration,
}

impl Client {
    pub fn new(settings: &Settings) -> Result<Self, Unusable> {
        let base = base(&settings.base_url).ok_or(Unusable::BaseUrl)?;
        let http = http(settings, base.scheme())?;
        Ok(Self {
            pause: endpoint(&base, Action::Pause),
            remove: endpoint(&base, Action::Remove),
            headers: headers(&http, base, settings)?,
            texts: Texts::new(&settings.texts).hiding(secrets(settings)),
            longest: settings.timeout.saturating_add(OVERDUE),
            http,
        })
    }

    /// Calls from now on are judged by these; clones made before keep theirs.
    pub fn set_texts(&mut self, texts: &texts::Settings) {
        self.texts.change(texts);
    }

    /// Makes one call; ends within [`Settings::timeout`], whatever the PBX does.
    pub async fn call(&self, batch: &Batch) -> CallResult {
        let overdue = || CallResult::Ambiguous {
            message: NO_REPLY.into(),
        };
        timeout(self.longest, self.post(batch))
            .await
            .unwrap_or_else(|_| overdue())
    }

    async fn post(&self, batch: &Batch) -> CallResult {
        match self.send(batch.action, request::body(batch)).await {
            Ok(response) => self.answer(response).await,
            Err(error) => unanswered(&error),
        }
    }

    async fn send(&self, action: Action, body: String) -> reqwest::Result<Response> {
        let url = match action {
            Action::Pause => &self.pause,
            Action::Remove => &self.remove,
        };
        let mut post = Request::new(Method::POST, url.clone());
        post.headers_mut().clone_from(&self.headers);
        *post.body_mut() = Some(body.into());
        self.http.execute(post).await
    }

    async fn answer(&self, mut response: Response) -> CallResult {
        let status = response.status();
        let retry_after = http_client::retry_after(response.headers());
        let body = read(&mut response).await;
        let kind = status::kind(status.as_u16());
        if kind == Kind::Reply {
            return match body {
                Ok(body) => self.reply(&body, retry_after),
                Err(why) => CallResult::Ambiguous { message: why },
            };
        }
        // The status alone says what it is; a body that cannot be read only costs the PBX's own words.
        let refusal = body
            .ok()
            .and_then(|body| reply::refusal(&body, &self.texts));
        let retry = refusal.as_ref().is_some_and(|refusal| refusal.retry);
        let message = refusal.map_or_else(|| words(status), |refusal| refusal.message);
        match kind {
            Kind::Fault => CallResult::Fault {
                message,
                retry_after,
            },
            Kind::Refusal if !retry => CallResult::Refused { message },
            Kind::Refusal | Kind::Transient | Kind::Reply => CallResult::Transient {
                message,
                retry_after,
            },
        }
    }

    fn reply(&self, body: &[u8], retry_after: Option<Duration>) -> CallResult {
        match reply::decode(body, &self.texts) {
            Decoded::Answered(items) => CallResult::Answered(items),
            Decoded::Unreadable(why) => CallResult::Ambiguous {
                message: why.into(),
            },
            Decoded::Refused { message, retry } => {
                let message = message.unwrap_or_else(|| "refused without a reason".into());
                if retry {
                    CallResult::Transient {
                        message,
                        retry_after,
                    }
                } else {
                    CallResult::Refused { message }
                }
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pause", &self.pause.as_str())
            .field("remove", &self.remove.as_str())
            .finish_non_exhaustive()
    }
}

fn http(settings: &Settings, scheme: &str) -> Result<reqwest::Client, Unusable> {
    let trust = match &settings.ca_pem {
        Some(pem) => Trust::Only(authorities(pem).ok_or(Unusable::CaFile)?),
        None => Trust::by_scheme(scheme),
    };
    let mut builder = http_client::builder(trust);
    if let Some(pem) = &settings.identity_pem {
        let identity = Identity::from_pem(pem.expose_secret()).map_err(|_| Unusable::Identity)?;
        builder = builder.identity(identity);
    }
    builder
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .build()
        .map_err(|error| Unusable::Tls(root_cause(&error)))
}

/// `None` if there is none in it.
fn authorities(pem: &[u8]) -> Option<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(pem).ok()?;
    (!found.is_empty()).then_some(found)
}

/// The address with no empty part in its path, so that a doubled slash never results.
fn base(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !bare || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let parts: Vec<&str> = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let path = parts.join("/");
    url.set_path(&path);
    Some(url)
}

fn endpoint(base: &Url, action: Action) -> Url {
    let mut url = base.clone();
    url.set_path(&format!(
        "{}{}",
        base.path().trim_end_matches('/'),
        request::path(action)
    ));
    url
}

fn headers(http: &reqwest::Client, url: Url, settings: &Settings) -> Result<HeaderMap, Unusable> {
    let mut request = http
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json");
    if let Some(key) = &settings.api_key {
        let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| Unusable::ApiKey)?;
        key.set_sensitive(true);
        request = request.header("X-APIKEY", key);
    }
    if let Some(Basic { username, password }) = &settings.basic {
        request = request.basic_auth(username, Some(password.expose_secret()));
    }
    let mut request = request
        .build()
        .map_err(|error| Unusable::Tls(root_cause(&error)))?;
    Ok(std::mem::take(request.headers_mut()))
}

/// The credentials, in every form in which the PBX gets them.
fn secrets(settings: &Settings) -> impl Iterator<Item = SecretString> {
    let basic = settings.basic.iter().flat_map(|basic| {
        let password = basic.password.expose_secret();
        let header = BASE64_STANDARD.encode(format!("{}:{password}", basic.username));
        [header.into(), basic.password.clone()]
    });
    settings.api_key.iter().cloned().chain(basic)
}

/// The whole body, or why it is not to be had.
async fn read(response: &mut Response) -> Result<Vec<u8>, Arc<str>> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > REPLY_BYTES_MAX => {
                return Err("the reply is longer than 1 MiB".into());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the reply broke off: {}", root_cause(&error)).into()),
        }
    }
}

/// "HTTP 503 Service Unavailable", or only the number if it has no name.
fn words(status: StatusCode) -> Arc<str> {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("HTTP {} {reason}", status.as_u16())
        .trim_end()
        .into()
}

/// No answer came. If the request was never written, or never read as there was no TLS, nothing was applied; else nobody can
/// tell.
fn unanswered(error: &reqwest::Error) -> CallResult {
    let cause = root_cause(error);
    if http_client::is_certificate_refused(error) {
        let message = format!(
            "the PBX wants a client certificate that it trusts ({cause}): see pbx.cert_file"
        );
        let message = message.into();
        return CallResult::Transient {
            message,
            retry_after: None,
        };
    }
    if error.is_connect() {
        let message = format!("cannot connect: {cause}").into();
        return CallResult::Transient {
            message,
            retry_after: None,
        };
    }
    let hyper = http_client::causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(hyper::Error::is_canceled) {
        let message = format!("connection lost before the request was written: {cause}").into();
        return CallResult::Transient {
            message,
            retry_after: None,
        };
    }
    let message = if error.is_timeout() {
        NO_REPLY.into()
    } else {
        format!("connection lost before the reply: {cause}").into()
    };
    CallResult::Ambiguous { message }
}

fn root_cause(error: &reqwest::Error) -> Arc<str> {
    http_client::root_cause(error)
        .and_then(|cause| legible(&cause))
        .unwrap_or_else(|| "unknown cause".into())
}

#[cfg(test)]
mod tests;

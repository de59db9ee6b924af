//! Whether the PBX would take the worker's calls: asked by a call about nobody, which can change no agent.
//!
//! The PBX looks at address, method, credentials and rights before it looks at the agents, so its answer tells of these.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Client, Response, read, root_cause, words};
use crate::engine::job::Action;
use crate::http_client;
use crate::pbx::reply::{self, Decoded};
use crate::pbx::request;
use crate::pbx::status::{self, Kind};

/// How the PBX answered, which did not turn the caller away by status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reception {
    /// It says that all went well.
    Taken,
    /// It refuses something, in these words: there is nobody in the call, or it is about the credentials after all.
    Refused { said: Arc<str> },
}

impl Reception {
    /// Whether it came to look at the agents, which it does after the credentials.
    pub fn speaks_of_agents(&self) -> bool {
        match self {
            Self::Taken => true,
            Self::Refused { said } => said.to_ascii_lowercase().contains("agent"),
        }
    }
}

/// Why the PBX would take no calls, and what to do about it; to be read after its address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(
        "cannot be reached ({cause}): is the PBX up, pbx.base_url right, for https its CA known or in pbx.ca_file, and \
         a client certificate in pbx.cert_file if it asks for one?"
    )]
    Unreachable { cause: Arc<str> },
    #[error(
        "wants a client certificate that it trusts ({cause}): let pbx.cert_file and pbx.key_file be of an authority that \
         the PBX knows"
    )]
    Certificate { cause: Arc<str> },
    #[error("gives no reply within pbx.timeout: is the PBX well, and pbx.base_url right?")]
    Mute,
    #[error(
        "refuses the credentials ({said}): correct pbx.api_key, or pbx.username and pbx.password, and see which of the \
         two the PBX wants"
    )]
    Credentials { said: Arc<str> },
    #[error(
        "denies {path} ({said}): let this API account use it, and calls come from this host's IP address"
    )]
    Denied { path: &'static str, said: Arc<str> },
    #[error(
        "does not know {path} ({said}): is pbx.base_url what stands in front of it, and the PBX one with API v4?"
    )]
    Unknown { path: &'static str, said: Arc<str> },
    #[error("leads elsewhere ({said}): let pbx.base_url be the address that it leads to")]
    Elsewhere { said: Arc<str> },
    #[error(
        "breaks the connection off without a reply ({cause}): look after the PBX, and is pbx.base_url right?"
    )]
    Dropped { cause: Arc<str> },
    #[error("fails ({said}): look after the PBX")]
    Failing {
        said: Arc<str>,
        /// The PBX's header, within its bound.
        retry_after: Option<Duration>,
    },
    #[error("is not the PBX's API ({why}): correct pbx.base_url")]
    Stranger { why: Arc<str> },
}

impl Trouble {
    /// Whether it is about the PBX or the settings for sure, and not about a call that asks for nobody.
    pub fn meets_every_call(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Credentials { .. }
            | Self::Denied { .. }
            | Self::Unknown { .. }
            | Self::Elsewhere { .. } => true,
            Self::Mute | Self::Dropped { .. } | Self::Failing { .. } | Self::Stranger { .. } => {
                false
            }
        }
    }

    /// How long the PBX wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failing { retry_after, .. } => *retry_after,
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Mute
            | Self::Credentials { .. }
            | Self::Denied { .. }
            | Self::Unknown { .. }
            | Self::Elsewhere { .. }
            | Self::Dropped { .. }
            | Self::Stranger { .. } => None,
        }
    }
}

impl Client {
    /// Asks how calls for `action` would be received. Ends within [`super::Settings::timeout`], whatever the PBX does.
    pub async fn probe(&self, action: Action) -> Result<Reception, Trouble> {
        let ask = async {
            let asked = self.send(action, request::NOBODY.to_owned()).await;
            let mut response = asked.map_err(|error| {
                if error.is_timeout() && !error.is_connect() {
                    return Trouble::Mute;
                }
                let cause = root_cause(&error);
                if http_client::is_certificate_refused(&error) {
                    return Trouble::Certificate { cause };
                }
                if error.is_connect() {
                    Trouble::Unreachable { cause }
                } else {
                    Trouble::Dropped { cause }
                }
            })?;
            let body = read(&mut response).await;
            self.judge(action, &response, body)
        };
        timeout(self.longest, ask)
            .await
            .unwrap_or(Err(Trouble::Mute))
    }

    fn judge(
        &self,
        action: Action,
        response: &Response,
        body: Result<Vec<u8>, Arc<str>>,
    ) -> Result<Reception, Trouble> {
        let status = response.status();
        let kind = status::kind(status.as_u16());
        if matches!(kind, Kind::Reply | Kind::Refusal) {
            let body = body.map_err(|why| Trouble::Stranger { why })?;
            return match reply::decode(&body, &self.texts) {
                Decoded::Answered(_) if kind == Kind::Reply => Ok(Reception::Taken),
                Decoded::Answered(_) => Ok(Reception::Refused {
                    said: words(status),
                }),
                Decoded::Refused { message, .. } => Ok(Reception::Refused {
                    said: message.unwrap_or_else(|| words(status)),
                }),
                Decoded::Unreadable(why) => Err(Trouble::Stranger { why: why.into() }),
            };
        }
        let refusal = body
            .ok()
            .and_then(|body| reply::refusal(&body, &self.texts));
        let said = refusal.map_or_else(|| words(status), |refusal| refusal.message);
        let path = request::path(action);
        Err(match (kind, status.as_u16()) {
            (Kind::Fault, 401) => Trouble::Credentials { said },
            (Kind::Fault, 403) => Trouble::Denied { path, said },
            (Kind::Fault, 300..=399) => Trouble::Elsewhere { said },
            (Kind::Fault, _) => Trouble::Unknown { path, said },
            _ => {
                let retry_after = http_client::retry_after(response.headers());
                Trouble::Failing { said, retry_after }
            }
        })
    }
}

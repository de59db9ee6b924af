//! The addresses: RabbitMQ's, the PBX's, and that of a receiver of traces. Refuses what a library would silently read as something else.
//!
//! What is wrong is said without repeating the address: it may hold a password.

use std::borrow::Cow;

use url::{Host, Url};

use super::problem::shown;
use crate::broker::frames::FRAME_MAX_MIN;

/// How `amqp.url` is written.
pub(super) const AMQP_FORM: &str =
    "amqp:// or amqps://user:password@host:port/vhost, with the default virtual host written %2f";

/// How `pbx.base_url` is written.
pub(super) const PBX_FORM: &str =
    "http:// or https://, a host, perhaps a port and a path, as they stand in front of /api/v4";

/// How `traces.endpoint` is written.
pub(super) const OTLP_FORM: &str =
    "http:// or https://, a host, perhaps a port and a path, as they stand in front of /v1/traces";

/// Whether lapin can read the value of this option; `None` for options that it would ignore.
fn is_readable(option: &str, value: &str) -> Option<bool> {
    match option {
        "auth_mechanism" => Some(is_mechanism(value)),
        "channel_max" | "heartbeat" => Some(value.parse::<u16>().is_ok()),
        "connection_timeout" | "frame_max" => Some(value.parse::<u32>().is_ok()),
        _ => None,
    }
}

fn is_mechanism(value: &str) -> bool {
    let known = [
        "plain",
        "amqplain",
        "external",
        "anonymous",
        "rabbit-cr-demo",
    ];
    known.iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Checks an AMQP URL; returns it without password and options, for logs.
pub(super) fn amqp(text: &str) -> Result<String, String> {
    let mut url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return Err("has a scheme other than amqp and amqps".to_owned());
    }
    match url.host() {
        None | Some(Host::Domain("")) => return Err("names no host".to_owned()),
        // lapin would connect to `localhost` instead.
        Some(Host::Ipv6(_)) => {
            return Err(
                "has an IPv6 address as its host, where only names and IPv4 work".to_owned(),
            );
        }
        Some(Host::Domain(_) | Host::Ipv4(_)) => {}
    }
    // lapin would use `guest` for the half that is missing.
    let is_external = |(name, how): (Cow<'_, str>, Cow<'_, str>)| {
        name == "auth_mechanism" && how.eq_ignore_ascii_case("external")
    };
    let external = url.query_pairs().any(is_external);
    if url.username().is_empty() != url.password().is_none() && !external {
        return Err("has only one of user and password".to_owned());
    }
    if url.path() == "/" {
        return Err("ends in a slash, which names a virtual host without a name".to_owned());
    }
    if url.fragment().is_some() {
        return Err("holds a #, which must be written %23".to_owned());
    }
    for (option, value) in url.query_pairs() {
        if option == "frame_max" && (1..FRAME_MAX_MIN).contains(&value.parse().unwrap_or(0)) {
            return Err(format!(
                "has an option frame_max below {FRAME_MAX_MIN}, which leaves no room for a dead letter's headers"
            ));
        }
        match is_readable(&option, &value) {
            Some(true) => {}
            Some(false) => return Err(format!("has an option {option} whose value does not fit")),
            None => return Err(format!("has an unknown option {}", shown(&option))),
        }
    }
    url.set_query(None);
    // Neither can fail: the URL has a host.
    url.set_password(None).ok();
    Ok(url.into())
}

/// Checks the address of a PBX; returns it without a slash at the end or a doubled one inside.
pub(super) fn pbx(text: &str) -> Result<String, String> {
    let url = http(text, "pbx.username and pbx.password")?;
    let parts: Vec<_> = url.path().split('/').collect();
    let version = |pair: &[&str]| matches!(pair, ["api", "v3" | "v4"]);
    if let Some([_, version]) = parts.windows(2).find(|pair| version(pair)) {
        return Err(format!(
            "holds /api/{version}; clockout speaks v4 and adds the path itself"
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Checks the address of a receiver of traces; returns it like [`pbx`].
pub(super) fn otlp(text: &str) -> Result<String, String> {
    let url = http(text, "traces.headers")?;
    if url.path().ends_with("/v1/traces") {
        return Err("ends in /v1/traces, which clockout adds itself".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address whose path has no empty parts. Credentials belong into `place`.
fn http(text: &str, place: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("has a scheme other than http and https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("holds credentials, which belong into {place}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("goes on with ? or #".to_owned());
    }
    let parts = url.path().split('/').filter(|part| !part.is_empty());
    let path = parts.collect::<Vec<_>>().join("/");
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amqp_url_is_shown_without_its_password() {
        for (text, shown) in [
            (
                "amqp://guest:guest@127.0.0.1:5672/%2f",
                "amqp://guest@127.0.0.1:5672/%2f",
            ),
            (
                "amqps://a:b%40c@rabbit.example/shop?heartbeat=10",
                "amqps://a@rabbit.example/shop",
            ),
            ("amqp://localhost", "amqp://localhost"),
            ("amqp://u:p@localhost/a/b", "amqp://u@localhost/a/b"),
            ("amqps://u@h/%2f?auth_mechanism=EXTERNAL", "amqps://u@h/%2f"),
            ("amqp://u:p@h/%2f?frame_max=65536", "amqp://u@h/%2f"),
            ("amqp://u:p@h/%2f?frame_max=0", "amqp://u@h/%2f"),
        ] {
            assert_eq!(amqp(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn an_amqp_url_that_would_be_misread_is_refused() {
        for (text, why) in [
            ("", "not a URL"),
            ("localhost:5672", "scheme"),
            ("http://localhost/", "scheme"),
            ("amqp:///%2f", "no host"),
            ("amqp://u:p@[2001:db8::1]:5672/%2f", "IPv6"),
            ("amqp://u:p@h/", "virtual host"),
            ("amqp://u@h/%2f", "only one"),
            // An empty password is none to lapin.
            ("amqp://u:@h/%2f", "only one"),
            ("amqp://:p@h/%2f", "only one"),
            ("amqp://u:p@h/%2f#x", "%23"),
            ("amqp://u:p@h/%2f?verify=none", "verify"),
            ("amqp://u:p@h/%2f?heartbeat=soon", "heartbeat"),
            ("amqp://u:p@h/%2f?frame_max=65535", "frame_max below 65536"),
            ("amqp://u:p@h/%2f?frame_max=1e6", "frame_max"),
            ("amqp://u:pa#ss@h/%2f", "not a URL"),
        ] {
            let wrong = amqp(text).unwrap_err();
            assert!(wrong.contains(why), "{text}: {wrong}");
            assert!(!wrong.contains("u:p"), "{wrong}");
        }
    }

    #[test]
    fn a_pbx_address_has_no_slash_at_its_end_and_none_doubled() {
        for (text, address) in [
            ("http://pbx", "http://pbx"),
            ("https://pbx.example:8088/", "https://pbx.example:8088"),
            ("http://[::1]:8080//", "http://[::1]:8080"),
            ("http://pbx/a//b/", "http://pbx/a/b"),
        ] {
            assert_eq!(pbx(text).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn a_pbx_address_with_anything_else_is_refused() {
        for (text, why) in [
            ("pbx.example", "not a URL"),
            ("http://", "not a URL"),
            ("ftp://pbx", "scheme"),
            ("http://u:secret@pbx", "credentials"),
            ("http://pbx?x=1", "?"),
            ("http://pbx/#", "#"),
            ("http://pbx/api/v3", "/api/v3"),
            ("http://pbx/x/api/v4/", "/api/v4"),
        ] {
            let wrong = pbx(text).unwrap_err();
            assert!(wrong.contains(why), "{text}: {wrong}");
            assert!(!wrong.contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn the_address_of_a_receiver_stands_in_front_of_its_path() {
        for (text, address) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("https://otlp.example//eu/", "https://otlp.example/eu"),
        ] {
            assert_eq!(otlp(text).as_deref(), Ok(address), "{text}");
        }
        for (text, why) in [
            ("127.0.0.1:4318", "not a URL"),
            ("grpc://127.0.0.1:4317", "scheme"),
            ("http://key:secret@otlp.example", "traces.headers"),
            ("http://127.0.0.1:4318/v1/traces/", "/v1/traces"),
        ] {
            let wrong = otlp(text).unwrap_err();
            assert!(wrong.contains(why), "{text}: {wrong}");
            assert!(!wrong.contains("secret"), "{wrong}");
        }
    }
}

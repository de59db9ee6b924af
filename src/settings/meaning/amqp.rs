//! The section about reaching RabbitMQ: the nodes, and TLS to them.

use crate::broker::{Address, Addresses, Tls};
use crate::settings::address;
use crate::settings::check::Check;
use crate::settings::{identity, raw};

pub(super) fn read(raw: raw::Amqp, check: &mut Check) -> Option<(Addresses, Tls)> {
    let tls = tls(raw.ca_file, raw.cert_file, raw.key_file, check);
    let addresses = if raw.urls.is_empty() && raw.urls_file.is_none() {
        let url = check.secret("amqp.url", Some(raw.url), raw.url_file);
        url.and_then(|url| one(url, check))
    } else {
        if check.is_given("amqp.url") || raw.url_file.is_some() {
            check.refuse("amqp.urls", "is given beside amqp.url", "one of the two");
        }
        let urls = check.secrets("amqp.urls", raw.urls, raw.urls_file);
        urls.and_then(|urls| several(urls, check))
    };
    Some((addresses?, tls))
}

fn one(url: String, check: &mut Check) -> Option<Addresses> {
    Some(Addresses {
        first: checked("amqp.url", "", url, check)?,
        others: Vec::new(),
    })
}

fn several(urls: Vec<String>, check: &mut Check) -> Option<Addresses> {
    if urls.is_empty() {
        check.refuse("amqp.urls", "holds no URL", "one or more");
    }
    // Those that do not fit are noted, and with a problem noted no settings come out at all.
    let mut addresses = (1..)
        .zip(urls)
        .filter_map(|(number, url)| checked("amqp.urls", &format!("entry {number} "), url, check))
        .collect::<Vec<_>>()
        .into_iter();
    Some(Addresses {
        first: addresses.next()?,
        others: addresses.collect(),
    })
}

/// `place` says which of several it is.
fn checked(key: &str, place: &str, url: String, check: &mut Check) -> Option<Address> {
    match address::amqp(&url) {
        Ok(shown) => Some(Address {
            url: url.into(),
            shown,
        }),
        Err(wrong) => {
            check.refuse(key, format_args!("{place}{wrong}"), address::AMQP_FORM);
            None
        }
    }
}

fn tls(
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    check: &mut Check,
) -> Tls {
    let ca_pem = check.pem("amqp.ca_file", ca_file, "CERTIFICATE");
    let client = identity::read("amqp", cert_file, key_file, check);
    Tls { ca_pem, client }
}

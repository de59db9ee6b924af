//! The sections about calling the PBX.

use secrecy::{ExposeSecret as _, SecretString};

use crate::broker::ClientIdentity;
use crate::pbx::client::{Basic, Settings};
use crate::pbx::texts;
use crate::settings::address;
use crate::settings::check::Check;
use crate::settings::{identity, raw};

const BASE_URL: &str = "pbx.base_url";

/// Notes that there is no address, unless one was given that could not even be read.
pub(super) fn require_address(check: &mut Check) {
    if !check.is_refused(BASE_URL) {
        let form = address::PBX_FORM;
        let expected = format_args!("{form}; in the file or as CLOCKOUT_PBX_BASE_URL");
        check.refuse(BASE_URL, "is missing", expected);
    }
}

/// `None` also if there is no address.
pub(super) fn settings(raw: raw::Pbx, check: &mut Check) -> Option<Settings> {
    let base_url = raw.base_url.and_then(|text| {
        let address = address::pbx(&text);
        address
            .map_err(|wrong| check.refuse(BASE_URL, wrong, address::PBX_FORM))
            .ok()
    });
    let ca_pem = check.pem("pbx.ca_file", raw.ca_file, "CERTIFICATE");
    let identity = identity::read("pbx", raw.cert_file, raw.key_file, check);
    let identity_pem = identity.map(|ClientIdentity { cert_pem, key_pem }| {
        // A file may end without a line break, and the key has to begin on a line of its own.
        [cert_pem.as_slice(), b"\n", key_pem.expose_secret()]
            .concat()
            .into()
    });
    let api_key = check.secret("pbx.api_key", raw.api_key, raw.api_key_file);
    let api_key = api_key.and_then(|key| header_text("pbx.api_key", key, check));
    let username_is_given = raw.username.is_some() || raw.username_file.is_some();
    let username = check.secret("pbx.username", raw.username, raw.username_file);
    let password_is_given = raw.password.is_some() || raw.password_file.is_some();
    let password = check.secret("pbx.password", raw.password, raw.password_file);
    if password_is_given && !username_is_given {
        check.refuse(
            "pbx.password",
            "is given without pbx.username",
            "both, or neither",
        );
    }
    let basic = username.and_then(|username| basic(username, password, check));
    let connect_timeout = check.wait("pbx.connect_timeout", &raw.connect_timeout);
    let timeout = check.wait("pbx.timeout", &raw.timeout);
    let texts = texts(raw.texts, check);
    Some(Settings {
        base_url: base_url?,
        ca_pem,
        identity_pem,
        api_key,
        basic,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
        texts,
    })
}

/// A secret that is sent as the value of a header.
fn header_text(key: &str, text: String, check: &mut Check) -> Option<SecretString> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let wrong = "is empty or holds a character that no key has";
        check.refuse(key, wrong, "printable ASCII characters without spaces");
    }
    fits.then(|| text.into())
}

fn basic(username: String, password: Option<String>, check: &mut Check) -> Option<Basic> {
    let fits =
        !username.is_empty() && !username.contains(':') && !username.contains(char::is_control);
    if !fits {
        let wrong = "is empty or holds a colon or control character";
        check.refuse(
            "pbx.username",
            wrong,
            "what HTTP basic authentication can carry",
        );
    }
    fits.then(|| Basic {
        username,
        password: password.unwrap_or_default().into(),
    })
}

fn texts(raw: raw::Texts, check: &mut Check) -> texts::Settings {
    let lists = [
        ("pbx.texts.absent", &raw.absent),
        ("pbx.texts.no_such_queue", &raw.no_such_queue),
        ("pbx.texts.not_dynamic", &raw.not_dynamic),
        ("pbx.texts.retry", &raw.retry),
    ];
    for (key, patterns) in lists {
        if patterns.iter().any(|pattern| pattern.trim().is_empty()) {
            check.refuse(
                key,
                "holds an empty pattern, which every text would match",
                "texts",
            );
        }
    }
    let raw::Texts {
        absent,
        no_such_queue,
        not_dynamic,
        retry,
    } = raw;
    texts::Settings {
        absent,
        no_such_queue,
        not_dynamic,
        retry,
    }
}

//! The section about OpenTelemetry traces.

use crate::settings::address;
use crate::settings::check::Check;
use crate::settings::raw;
use crate::traces::{Header, Settings};

const ENDPOINT: &str = "traces.endpoint";
const HEADERS: &str = "traces.headers";

/// `None` also if there are to be none.
pub(super) fn settings(raw: raw::Traces, check: &mut Check) -> Option<Settings> {
    let timeout = check.wait("traces.timeout", &raw.timeout);
    let headers = check.secrets(HEADERS, raw.headers, raw.headers_file);
    let headers = headers.and_then(|lines| headers_of(&lines, check));
    if raw.endpoint.is_empty() {
        return None;
    }
    let endpoint = address::otlp(&raw.endpoint);
    let endpoint = endpoint.map_err(|wrong| check.refuse(ENDPOINT, wrong, address::OTLP_FORM));
    Some(Settings {
        endpoint: endpoint.ok()?,
        headers: headers?,
        timeout: timeout?,
    })
}

fn headers_of(lines: &[String], check: &mut Check) -> Option<Vec<Header>> {
    let headers: Option<Vec<_>> = lines.iter().map(|line| header(line)).collect();
    if headers.is_none() {
        let wrong = "holds a line that is no header";
        check.refuse(HEADERS, wrong, "\"name: value\" each, in printable ASCII");
    }
    headers
}

fn header(line: &str) -> Option<Header> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let of_value = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let fits = !name.is_empty()
        && !value.is_empty()
        && name.bytes().all(of_name)
        && value.bytes().all(of_value);
    fits.then(|| Header {
        name: name.to_owned(),
        value: value.into(),
    })
}

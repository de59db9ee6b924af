//! How a test says that something it needs is missing here, so that it tries less than it could.

use std::fmt::Display;
use std::io::{Write as _, stderr};

/// Names what must not be missing, separated by spaces, in the words of `scripts/ensure`.
const STRICT: &str = "CLOCKOUT_TEST_STRICT";

/// Notes what is not tried for want of `need`; panics where that must not be missing.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' settings are not the worker's"
)]
pub(crate) fn left_out(need: &str, what: &str, why: impl Display) {
    let why = why.to_string();
    let note = format!("LEFT OUT for want of {need}: {what}: {}\n", why.trim());
    let strict = std::env::var(STRICT).unwrap_or_default();
    assert!(!strict.split(' ').any(|name| name == need), "{note}");
    // Past the capture of test output: what was not tried must not pass for tried.
    stderr().write_all(note.as_bytes()).unwrap();
}

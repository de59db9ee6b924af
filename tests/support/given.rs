//! What a run of tests is asked for, by environment variables: the only way to hand anything to a test.

use std::str::FromStr;

/// `None` if the variable is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' settings are not the worker's"
)]
pub(crate) fn given<T: FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    let value = text.parse();
    Some(value.unwrap_or_else(|_| panic!("{variable} cannot be {text:?}")))
}

//! Values of flags that several commands take.

use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clockout::engine::job::Action;
use clockout::engine::outcome::Status;
use clockout::settings;

pub(super) fn action() -> impl TypedValueParser<Value = Action> {
    one_of(Action::ALL, Action::as_str)
}

pub(super) fn status() -> impl TypedValueParser<Value = Status> {
    one_of(Status::ALL, Status::as_str)
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    settings::parse_duration(text).ok_or("give a whole number and ms, s, m, h or d")
}

/// For the `NonZero` types, whose own words for 0 are no words for people.
pub(super) fn at_least_one<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "give a whole number, at least 1")
}

/// Of a closed set, each by the name that the contract gives it.
fn one_of<T, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.map(name)).try_map(move |given| {
        all.into_iter()
            .find(|value| name(*value) == given)
            .ok_or("no such value")
    })
}

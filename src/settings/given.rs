//! What was given, from where, and what overrides what: flags over environment over file over defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::keys::Keys;
use super::problem::Origin;
use super::raw::Raw;

/// A value of the right kind. It may be a secret, so it cannot print.
pub(super) struct Given {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Given {
    fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(Vec::is_empty)
    }
}

/// The settings of all layers together, and where each came from.
pub(super) struct Merged {
    pub(super) raw: Raw,
    /// Of the keys that were given; the others have their defaults.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// Lays the layers over the defaults, the last one on top.
///
/// A layer that gives a secret in one way (inline or as a file) overrides the other ways too: else an environment could
/// not replace the `api_key` of a file by an `api_key_file`. An empty list gives nothing, and overrides its own key alone.
pub(super) fn merge(layers: impl IntoIterator<Item = Vec<Given>>, keys: &Keys) -> Merged {
    let mut values = BTreeMap::new();
    for layer in layers {
        let telling = layer.iter().filter(|given| !given.is_empty_list());
        for rival in telling.flat_map(|given| keys.rivals(&given.key)) {
            values.remove(&rival);
        }
        values.extend(
            layer
                .into_iter()
                .map(|given| (given.key, (given.value, given.origin))),
        );
    }
    let mut tree = Value::Object(Map::new());
    let mut origins = BTreeMap::new();
    for (key, (value, origin)) in values {
        plant(&mut tree, &key, value);
        origins.insert(key, origin);
    }
    // Every value has the kind of its default, so this cannot fail; `Raw` fills in what is missing.
    let raw = serde_json::from_value(tree).unwrap_or_default();
    Merged { raw, origins }
}

fn plant(tree: &mut Value, key: &str, value: Value) {
    let Value::Object(map) = tree else { return };
    match key.split_once('.') {
        Some((section, rest)) => {
            let under = map
                .entry(section)
                .or_insert_with(|| Value::Object(Map::new()));
            plant(under, rest, value);
        }
        None => {
            map.insert(key.to_owned(), value);
        }
    }
}

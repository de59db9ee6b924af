//! A job in the making: its fields by name, each as the JSON that it will be.
//!
//! Judges nothing; what comes of it is read as the worker would read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// Values stay as they came, so that what was written by somebody else arrives digit by digit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Draft(BTreeMap<String, Box<RawValue>>);

impl Draft {
    pub(super) fn set(
        &mut self,
        field: &str,
        value: &(impl Serialize + ?Sized),
    ) -> serde_json::Result<()> {
        self.0.insert(field.to_owned(), to_raw_value(value)?);
        Ok(())
    }

    /// JSON if it is, else a string.
    pub(super) fn set_json(&mut self, field: &str, text: &str) -> serde_json::Result<()> {
        match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(value) => self.set(field, &value),
            Err(_) => self.set(field, text),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is absent or null.
    pub(super) fn complete(&mut self, defaults: &Self) {
        for (field, value) in &defaults.0 {
            let given = self.0.get(field).filter(|value| value.get() != "null");
            if given.is_none() {
                self.0.insert(field.clone(), value.clone());
            }
        }
    }

    pub(super) fn to_body(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_take_the_place_of_what_is_absent_and_of_nothing_else() {
        let given = r#"{"action":null,"context":{"n": 12345678901234567890123},"queue":"1"}"#;
        let mut draft: Draft = serde_json::from_str(given).unwrap();
        let mut defaults = Draft::default();
        for field in ["action", "queue", "reason"] {
            defaults.set(field, "default").unwrap();
        }
        draft.complete(&defaults);
        assert_eq!(
            String::from_utf8(draft.to_body().unwrap()).unwrap(),
            r#"{"action":"default","context":{"n": 12345678901234567890123},"queue":"1","reason":"default"}"#
        );
    }

    #[test]
    fn what_is_no_json_becomes_a_string() {
        let mut draft = Draft::default();
        draft.set_json("a", "true").unwrap();
        draft.set_json("b", "yes").unwrap();
        assert_eq!(draft.to_body().unwrap(), br#"{"a":true,"b":"yes"}"#);
    }
}

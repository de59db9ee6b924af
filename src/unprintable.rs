//! Characters of foreign text that whoever is shown it would obey instead of seeing them.

use std::fmt::Write as _;

/// A control character, an end of line that is none to ASCII, or one that turns the direction of what follows, so that a line
/// reads otherwise than it was written.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same JSON on one line, without them. In its texts each is written as an escape; between its parts, where none may stand,
/// JSON allows tabs and ends of lines alone, and they become spaces.
pub fn json_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\t' | '\n' | '\r') {
            line.push(' ');
        } else if is_unprintable(c) {
            write!(line, "\\u{:04x}", u32::from(c)).ok();
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_of_several_lines_becomes_one() {
        assert_eq!(json_line("{\r\n\t\"a\": 1\n}"), "{   \"a\": 1 }");
    }

    #[test]
    fn what_turns_the_direction_is_not_printed_and_what_joins_letters_is() {
        for c in [
            '\u{1b}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}',
        ] {
            assert!(is_unprintable(c), "{c:?}");
        }
        // Persian is written with the second, and the mark after it harms nobody.
        for c in ['é', '\u{200c}', '\u{200f}', '☎'] {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_text_holds_its_json_means_the_same_and_nothing_in_it_is_obeyed(
            text in "(?s)(.|[\u{0}-\u{9f}\u{2020}-\u{2070}]){0,40}",
        ) {
            let value = json!({ text.as_str(): [text.as_str()] });
            for json in [value.to_string(), format!("{value:#}")] {
                let line = json_line(&json);
                prop_assert!(!line.contains(is_unprintable), "{line:?}");
                prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value.clone());
            }
        }
    }
}

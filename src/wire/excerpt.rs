//! Foreign text made safe to repeat: bounded and on one line.

use crate::unprintable::is_unprintable;

/// The first `chars_max` characters, `…` if there are more, what is unprintable escaped.
pub fn excerpt(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    for c in rest.by_ref().take(chars_max) {
        if is_unprintable(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(excerpt("", 3), "");
        assert_eq!(excerpt("né \"q\"", 6), "né \"q\"");
        assert_eq!(excerpt("a\r\n\0b", 9), r"a\r\n\u{0}b");
        assert_eq!(excerpt("a\u{202e}b", 9), r"a\u{202e}b");
        assert_eq!(excerpt("éééé", 3), "ééé…");
    }
}

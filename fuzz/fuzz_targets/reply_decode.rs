//! Whatever the PBX answers: no panic, each agent answered for at most once, and texts fit to be repeated, without the
//! worker's credentials.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use clockout::pbx::reply::{self, Decoded};
use clockout::pbx::texts::{Settings, Texts};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "HUSH-HUSH";

static TEXTS: LazyLock<Texts> =
    LazyLock::new(|| Texts::new(&Settings::default()).hiding([SECRET.into()]));

fuzz_target!(|body: &[u8]| match reply::decode(body, &TEXTS) {
    Decoded::Answered(answers) => {
        let mut seen = HashSet::new();
        for item in &answers {
            assert!(
                seen.insert((item.queue, item.agent)),
                "{item:?} comes twice"
            );
            assert!(is_fit(item.message.as_deref()), "{item:?}");
        }
    }
    Decoded::Refused { message, .. } => assert!(is_fit(message.as_deref())),
    Decoded::Unreadable(_) => {}
});

fn is_fit(text: Option<&str>) -> bool {
    text.is_none_or(|text| {
        !text.is_empty() && !text.contains(SECRET) && !text.chars().any(char::is_control)
    })
}

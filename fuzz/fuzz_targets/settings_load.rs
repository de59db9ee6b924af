//! Whatever the settings file and a variable say: settings, or problems that repeat no secret.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use clockout::settings::{Arguments, Settings};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hush-hush";

/// One for the process: a name of its own for each input would fill the folder when it is cut short.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let name = format!("clockout-fuzz-{}.toml", std::process::id());
    std::env::temp_dir().join(name)
});

fuzz_target!(|bytes: &[u8]| {
    fs::write(&*FILE, bytes).expect("a folder for temporary files");
    let arguments = Arguments {
        config: Some(FILE.clone()),
        ..Arguments::default()
    };
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let environment = [
        ("CLOCKOUT_PBX_API_KEY", SECRET),
        ("CLOCKOUT_AMQP_URL", "amqp://u:hush-hush@host"),
        ("CLOCKOUT_BATCH_LINGER", &text),
        ("CLOCKOUT_PBX_TEXTS_RETRY", &text),
    ];
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    if let Err(problems) = Settings::load(&arguments, environment) {
        let shown = format!("{problems} {problems:?}");
        assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
    }
});

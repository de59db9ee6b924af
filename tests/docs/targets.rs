//! The lines of make that the pages show, as far as make itself can judge them without carrying them out.

use std::process::Command;

use regex::Regex;

use super::{blocks, pages, top};

#[test]
fn every_line_of_make_in_the_docs_is_one_that_make_would_carry_out_in_a_dry_run() {
    let mut seen = 0;
    for (page, text) in pages() {
        for line in blocks(&text, "bash").flat_map(str::lines) {
            let words = shlex::split(line).unwrap_or_default();
            let mut words = words.into_iter().skip_while(|word| word.contains('='));
            if words.next().as_deref() == Some("make") {
                let words: Vec<String> = words.collect();
                let printed =
                    would_run(&words).unwrap_or_else(|said| panic!("{page}: {line}: {said}"));
                let given = words.iter().filter_map(|word| word.split_once('='));
                for (_, value) in given {
                    assert!(
                        hands_on(&printed, value),
                        "{page}: {line}: {value:?} is lost in\n{printed}"
                    );
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 20, "only {seen} were found");
}

/// The commands that make would run; `Err` is what it says of a fault.
fn would_run(words: &[String]) -> Result<String, String> {
    let mut make = Command::new("make");
    make.arg("--dry-run").args(words).current_dir(top());
    // Of a make that runs these tests.
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        make.env_remove(inherited);
    }
    let run = make.output().unwrap();
    let printed = String::from_utf8_lossy(&run.stdout).into_owned();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    run.status.success().then_some(printed).ok_or(said)
}

/// Whether a command has the value as a word or as a variable's.
fn hands_on(printed: &str, value: &str) -> bool {
    let value = regex::escape(value);
    let word = format!(r"(?m)(^|[\s=])'?{value}'?(\s|$)");
    Regex::new(&word).unwrap().is_match(printed)
}

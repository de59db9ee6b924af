//! The changes that break an invariant each, for `make mutants` to see whether the suites notice: they must fit the source
//! that they were made for.

use std::fs;
use std::process::Command;

#[test]
fn every_mutant_still_applies() {
    let root = env!("CARGO_MANIFEST_DIR");
    let patches = fs::read_dir(format!("{root}/tests/mutants")).unwrap();
    let patches: Vec<_> = patches.map(|entry| entry.unwrap().path()).collect();
    assert!(!patches.is_empty());
    let check = Command::new("git")
        .args(["apply", "--check"])
        .args(&patches)
        .current_dir(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{said}");
}

//! The README in Persian says what the README says: the same sections in the same order, each with the same commands,
//! names and links. What is new in one and not in the other is named here, section by section.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the pages has failed"
)]

use std::fs;
use std::path::Path;

const ORIGINAL: &str = "README.md";
const TRANSLATION: &str = "README.fa.md";

/// What must be the same in every language.
#[derive(Debug, Default)]
struct Section {
    heading: String,
    level: usize,
    blocks: Vec<String>,
    /// In any order, as languages order their words differently.
    codes: Vec<String>,
    /// In any order; those to the page in the other language left out.
    links: Vec<String>,
    /// Items of lists and rows of tables.
    items: usize,
}

#[test]
fn the_readme_in_persian_has_the_same_sections_commands_and_links() {
    let (original, translation) = (sections(ORIGINAL), sections(TRANSLATION));
    let mut differences = Vec::new();
    for (here, there) in original.iter().zip(&translation) {
        let place = format!("{:?} and {:?}", here.heading, there.heading);
        if here.level != there.level {
            differences.push(format!("{place}: levels of headings"));
        }
        for (what, here, there) in [
            ("block", &here.blocks, &there.blocks),
            ("code", &here.codes, &there.codes),
            ("link", &here.links, &there.links),
        ] {
            for lost in without(here, there) {
                differences.push(format!("{place}: {TRANSLATION} lacks the {what} {lost}"));
            }
            for extra in without(there, here) {
                differences.push(format!(
                    "{place}: only {TRANSLATION} has the {what} {extra}"
                ));
            }
        }
        if here.items != there.items {
            let (here, there) = (here.items, there.items);
            differences.push(format!("{place}: {here} and {there} list items and rows"));
        }
    }
    assert!(
        differences.is_empty(),
        "README.md and its translation differ:\n{}",
        differences.join("\n")
    );
    let headings = |sections: &[Section]| sections.len();
    assert_eq!(headings(&original), headings(&translation), "sections");
}

/// What `all` has more often than `others`.
fn without<'a>(all: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut others: Vec<&String> = others.iter().collect();
    let mut left = Vec::new();
    for one in all {
        match others.iter().position(|other| *other == one) {
            Some(found) => drop(others.swap_remove(found)),
            None => left.push(one),
        }
    }
    left
}

fn sections(page: &str) -> Vec<Section> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut sections = vec![Section::default()];
    let mut prose = String::new();
    // Every second part lies between fences.
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            let section = sections.last_mut().unwrap();
            section.blocks.push(part.to_owned());
            continue;
        }
        for line in part.lines() {
            if line.starts_with('#') {
                sections.last_mut().unwrap().read(&prose);
                prose.clear();
                sections.push(Section {
                    heading: line.trim_start_matches(['#', ' ']).to_owned(),
                    level: line.len() - line.trim_start_matches('#').len(),
                    ..Section::default()
                });
            } else {
                prose += line;
                prose.push('\n');
            }
        }
    }
    sections.last_mut().unwrap().read(&prose);
    sections
}

impl Section {
    fn read(&mut self, prose: &str) {
        let between = prose.split('`').skip(1).step_by(2);
        // A line may break within a command.
        let words = |code: &str| code.split_whitespace().collect::<Vec<_>>().join(" ");
        self.codes = between.map(words).collect();
        let targets = prose.split("](").skip(1);
        let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        self.links = targets
            .filter(|target| ![ORIGINAL, TRANSLATION].contains(&target.as_str()))
            .collect();
        let starts = ["- ", "| "];
        let is_item = |line: &&str| starts.iter().any(|start| line.starts_with(start));
        self.items = prose.lines().filter(is_item).count();
    }
}

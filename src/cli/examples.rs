//! Guards what users copy: the commands that the help texts and the pages show are ones that the program takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Cli;

#[test]
fn every_command_shows_examples_that_it_understands() {
    let mut whole = Cli::command();
    whole.build();
    let mut examples = 0;
    for command in commands(&whole).into_iter().chain([whole]) {
        let after = command.get_after_help().map(ToString::to_string);
        let after = after.unwrap_or_default();
        assert!(
            after.starts_with("Example"),
            "`{} --help` shows no example",
            command.get_name()
        );
        for line in after.lines().filter_map(command_in) {
            taken(line).unwrap_or_else(|why| panic!("{line}: {why}"));
            examples += 1;
        }
    }
    assert!(examples >= 8, "the examples were not found");
}

#[test]
fn every_command_line_in_the_pages_is_one_that_the_program_takes() {
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap().replace("\\\n", " ");
        for line in blocks(&text).flat_map(typed).filter_map(command_in) {
            taken(line).unwrap_or_else(|why| panic!("{}: {line}: {why}", page.display()));
            seen += 1;
        }
    }
    assert!(seen >= 20, "the command lines were not found");
}

/// In running text a command may stand without what it needs, and capitals for what its user fills in.
#[test]
fn every_command_that_the_pages_speak_of_is_one() {
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        for line in quoted.filter(|quoted| !quoted.contains('\n')) {
            let Some(words) = line.strip_prefix("clockout ") else {
                continue;
            };
            seen += 1;
            let Err(why) = taken(words) else {
                continue;
            };
            let lacks_something = matches!(
                why.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            let is_blank =
                why.kind() == ErrorKind::InvalidValue && words.contains(char::is_uppercase);
            let stands = lacks_something || is_blank;
            assert!(stands, "{}: {line}: {why}", page.display());
        }
    }
    assert!(seen >= 20, "the commands were not found");
}

/// Those that do something; not those that only hold others.
fn commands(command: &clap::Command) -> Vec<clap::Command> {
    let below = command.get_subcommands();
    let below: Vec<_> = below
        .filter(|command| command.get_name() != "help")
        .collect();
    if below.is_empty() {
        return vec![command.clone()];
    }
    below.into_iter().flat_map(commands).collect()
}

/// What a line passes to the program, up to where the shell takes over; `None` where it runs something else.
fn command_in(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mut rest = line;
    while let Some((word, after)) = rest.split_once(' ') {
        if word.ends_with("clockout") {
            return after.split(['|', '>', '<', ';']).next();
        }
        // Variables may come first, and what feeds a pipe.
        let goes_before = word.contains('=') || line.contains("| clockout ");
        rest = goes_before.then_some(after)?;
    }
    None
}

fn taken(line: &str) -> Result<Cli, clap::Error> {
    let words = shlex::split(line).expect("words as a shell reads them");
    Cli::try_parse_from(std::iter::once("clockout".to_owned()).chain(words))
}

/// What is typed in a block: what follows prompts, or all where there are none.
fn typed(block: &str) -> impl Iterator<Item = &str> {
    let has_prompts = block.starts_with("$ ");
    block
        .lines()
        .filter_map(move |line| match line.strip_prefix("$ ") {
            None if has_prompts => None,
            None => Some(line),
            typed => typed,
        })
}

/// What stands between fences, but for samples of languages.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| {
        let (language, block) = block.split_once('\n')?;
        matches!(language, "" | "console" | "bash" | "sh").then_some(block)
    })
}

/// The pages that show commands to users.
fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs", "examples", "deploy/kubernetes"];
    let entries = folders.map(|folder| fs::read_dir(top.join(folder)).unwrap());
    let paths = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|found| found == "md");
    paths.filter(is_page).collect()
}

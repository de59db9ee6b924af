//! No example without a test: what stands between fences is counted, page by page, against a table that says how each is tested.

use std::collections::BTreeMap;

use super::{files, pages};

/// Drawn or written for people; nothing reads it.
const DRAWING: &str = "a drawing";

/// A page, a language, how many blocks of it there are, and how they are tested: the tests' names, or [`DRAWING`].
type Row = (&'static str, &'static str, usize, &'static [&'static str]);

/// Played by a shell beside real parts.
const PLAYED: &[Row] = &[
    (
        "README.md",
        "console",
        3,
        &[
            "what_the_readme_sends_ends_as_it_shows",
            "the_check_finds_what_the_readme_shows",
            "the_status_in_the_middle_of_a_shift_end_is_the_one_in_the_readme",
        ],
    ),
    (
        "README.md",
        "",
        1,
        &["the_demonstration_ends_as_the_readme_shows"],
    ),
    (
        "README.md",
        "bash",
        1,
        &["a_worker_that_is_started_as_the_readme_says_does_a_job"],
    ),
    (
        "docs/hardening.md",
        "bash",
        1,
        &["the_commands_on_the_page_make_a_user_with_the_rights_of_its_first_row"],
    ),
    (
        "docs/integrating.md",
        "console",
        6,
        &["the_sessions_for_integrators_print_what_their_page_shows"],
    ),
    (
        "docs/integrating.md",
        "",
        2,
        &["the_sessions_for_integrators_print_what_their_page_shows"],
    ),
    (
        "docs/mending.md",
        "console",
        7,
        &["the_sessions_of_the_page_on_mending_print_what_it_shows"],
    ),
    (
        "docs/operating.md",
        "console",
        1,
        &["the_session_on_stepping_in_prints_what_its_page_shows"],
    ),
    (
        "docs/operating.md",
        "",
        1,
        &["the_session_on_stepping_in_prints_what_its_page_shows"],
    ),
    (
        "docs/pbx-sim.md",
        "console",
        5,
        &["the_sessions_of_the_page_on_the_simulated_pbx_print_what_it_shows"],
    ),
    (
        "docs/runbook.md",
        "console",
        1,
        &["the_session_of_the_runbook_prints_what_it_shows"],
    ),
    (
        "docs/sending.md",
        "console",
        6,
        &["the_sessions_of_the_page_on_sending_print_what_it_shows"],
    ),
    (
        "docs/shift-end.md",
        "console",
        3,
        &["the_sessions_of_the_page_on_shift_ends_print_what_it_shows"],
    ),
    (
        "docs/shift-end.md",
        "bash",
        1,
        &["the_script_of_the_page_on_shift_ends_sends_what_the_roster_says"],
    ),
    (
        "docs/shift-end.md",
        "cron",
        1,
        &["a_line_of_a_crontab_in_the_docs_tries_three_times_and_no_oftener"],
    ),
    (
        "docs/shift-end.md",
        "sql",
        1,
        &["the_query_in_the_docs_finds_who_has_not_left"],
    ),
    (
        "docs/tracing.md",
        "",
        1,
        &["the_log_of_a_call_reads_as_its_page_shows"],
    ),
    (
        "examples/README.md",
        "console",
        2,
        &["the_sessions_of_the_page_on_examples_print_what_it_shows"],
    ),
];

/// Sent to a worker or to the simulated PBX, and what comes back held against the page.
const SENT: &[Row] = &[
    (
        "README.md",
        "json",
        2,
        &["every_job_in_the_pages_is_applied_and_told_as_they_show"],
    ),
    (
        "docs/contract.md",
        "json",
        1,
        &["every_job_in_the_pages_is_applied_and_told_as_they_show"],
    ),
    (
        "docs/contract.md",
        "json",
        2,
        &["the_request_in_the_contract_gets_the_reply_that_the_contract_shows"],
    ),
    (
        "docs/integrating.md",
        "json",
        2,
        &["every_job_in_the_pages_is_applied_and_told_as_they_show"],
    ),
    (
        "docs/shift-end.md",
        "json",
        1,
        &["every_job_in_the_pages_is_applied_and_told_as_they_show"],
    ),
];

const DRY_RUN: &[&str] =
    &["every_line_of_make_in_the_docs_is_one_that_make_would_carry_out_in_a_dry_run"];

/// Not carried out: make says what it would do.
const DRY_RUNS: &[Row] = &[
    ("README.md", "bash", 1, DRY_RUN),
    ("CONTRIBUTING.md", "bash", 1, DRY_RUN),
    ("bench/README.md", "bash", 1, DRY_RUN),
    ("docs/performance.md", "bash", 1, DRY_RUN),
    ("docs/reliability.md", "bash", 2, DRY_RUN),
];

/// Run where `make docker` asks for it.
const IN_DOCKER: &str =
    "what_the_pages_start_in_docker_does_a_job_and_is_as_locked_down_as_they_say";

/// Else only read, by the program that it is for: what it would do needs a Docker, a cluster or a machine of its own.
const READ: &[Row] = &[
    (
        "deploy/kubernetes/README.md",
        "bash",
        1,
        &[
            "every_script_in_the_docs_can_be_read_by_its_shell",
            "kubernetes_and_keda_would_take_the_manifests",
        ],
    ),
    (
        "docs/hardening.md",
        "bash",
        1,
        &[
            IN_DOCKER,
            "every_script_in_the_docs_can_be_read_by_its_shell",
            "every_variable_that_is_set_for_a_worker_is_a_setting",
        ],
    ),
    (
        "docs/integrating.md",
        "bash",
        1,
        &[
            IN_DOCKER,
            "every_script_in_the_docs_can_be_read_by_its_shell",
            "compose_would_take_its_file_with_any_profile",
        ],
    ),
    (
        "docs/operating.md",
        "toml",
        2,
        &["all_settings_in_the_docs_are_taken_by_the_worker"],
    ),
    (
        "docs/shift-end.md",
        "ini",
        2,
        &["systemd_would_take_the_units_in_the_recipes"],
    ),
    (
        "docs/tracing.md",
        "toml",
        1,
        &["all_settings_in_the_docs_are_taken_by_the_worker"],
    ),
];

const DRAWINGS: &[Row] = &[
    ("ARCHITECTURE.md", "", 1, &[DRAWING]),
    ("README.md", "", 1, &[DRAWING]),
    ("docs/tracing.md", "", 1, &[DRAWING]),
];

/// Its blocks are those of the README: `tests/translation.rs` sees to that.
const TRANSLATION: &str = "README.fa.md";

#[test]
fn every_block_in_the_docs_is_counted_among_those_that_a_test_looks_at() {
    let sources: String = files("rs").map(|(_, text)| text).collect();
    let mut tested = BTreeMap::new();
    for (page, language, count, tests) in [PLAYED, SENT, DRY_RUNS, READ, DRAWINGS].concat() {
        for name in tests.iter().filter(|name| **name != DRAWING) {
            assert!(sources.contains(&format!("fn {name}(")), "no test {name}");
        }
        *tested
            .entry((page.to_owned(), language.to_owned()))
            .or_insert(0) += count;
    }
    let mut shown = BTreeMap::new();
    for (page, text) in pages().filter(|(page, _)| page != TRANSLATION) {
        for language in fences(&text).0 {
            *shown
                .entry((page.clone(), language.to_owned()))
                .or_insert(0) += 1;
        }
    }
    let differs = |(block, count): &(&(String, String), &usize)| tested.get(*block) != Some(*count);
    let untested: Vec<_> = shown.iter().filter(differs).collect();
    assert!(
        untested.is_empty(),
        "another count than in the table of tests/docs/guard.rs: {untested:?}"
    );
    let gone: Vec<_> = tested
        .keys()
        .filter(|block| !shown.contains_key(*block))
        .collect();
    assert!(gone.is_empty(), "in the table only: {gone:?}");
}

/// Without a fence nothing finds it.
#[test]
fn no_command_in_the_docs_is_only_indented() {
    for (page, text) in pages() {
        for line in fences(&text).1 {
            let command = line.strip_prefix("    ").unwrap_or_default();
            let is_command = command.starts_with("make ") || command.starts_with("clockout ");
            assert!(!is_command, "{page}: put it between fences: {line}");
        }
    }
}

#[test]
fn no_table_that_is_made_from_results_is_empty() {
    let mut seen = 0;
    for (page, text) in pages() {
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        for pair in lines.windows(2) {
            let [begins, next] = pair else { continue };
            let is_begin = begins.starts_with("<!-- ") && *begins != "<!-- end -->";
            assert!(
                !is_begin || *next != "<!-- end -->",
                "{page}: nothing under {begins}"
            );
            seen += usize::from(is_begin);
        }
    }
    assert!(seen >= 10, "only {seen} were found");
}

/// The language of each block, indented ones too, and the lines outside of all blocks.
fn fences(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut languages, mut outside) = (Vec::new(), Vec::new());
    let mut within = false;
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => {
                within = !within;
                languages.extend(within.then_some(language));
            }
            None if !within => outside.push(line),
            None => {}
        }
    }
    (languages, outside)
}

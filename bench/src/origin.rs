//! Where and with what something was measured.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::Result;
use jiff::Timestamp;
use procfs::{CpuInfo, Current as _, Meminfo};
use serde::{Deserialize, Serialize};

use crate::stage::Stage;

/// Stands at the head of every file of results.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// When it began, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    /// What was typed.
    pub(crate) command: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
}

impl Origin {
    pub(crate) fn of(stage: &Stage) -> Result<Self> {
        let processors = CpuInfo::current()?;
        let machine = Machine {
            processor: processors.model_name(0).unwrap_or("unknown").to_owned(),
            cores: processors.num_cores(),
            memory_gib: Meminfo::current()?.mem_total >> 30,
            kernel: procfs::sys::kernel::Version::current()
                .map(|version| format!("{}.{}.{}", version.major, version.minor, version.patch))?,
        };
        let programs = [
            ("clockout", stage.clockout.as_str()),
            ("rustc", "rustc"),
            ("node", "node"),
            ("python", "python3"),
        ];
        let versions = programs
            .into_iter()
            .filter_map(|(name, program)| Some((name.to_owned(), version(program)?)))
            .chain(stage.rabbit.versions.clone());
        let words: Vec<String> = std::env::args().skip(1).collect();
        Ok(Self {
            date: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine,
            versions: versions.collect(),
            command: format!("clockout-bench {}", words.join(" ")),
        })
    }
}

/// The number that a program's `--version` tells; `None` if there is no such program.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let number = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    said.split_whitespace().find(number).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_has_no_version() {
        assert_eq!(version("no-such-program-anywhere"), None);
    }
}

//! What a job costs the engine, in figures that do not depend on how busy the machine is: instructions, counted by
//! callgrind, and allocations. They are kept in a file; a change that makes them grow has to change the file too.

#![expect(
    clippy::print_stdout,
    reason = "a command that prints what it measured"
)]

mod allocations;
mod callgrind;
mod figures;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum as _};
use clockout_engine_cost::Scenario;

use figures::{Change, Figures};

#[derive(Debug, Parser)]
#[command(about = "Counts what a job costs the engine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure, and fail if a job costs more than the file says
    Check { file: PathBuf },
    /// Measure, and write the file
    Update { file: PathBuf },
    /// Let the engine work, for callgrind to look at
    #[command(hide = true)]
    Work { scenario: Scenario },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Check { file } => check(&file),
        Command::Update { file } => {
            fs::write(&file, measure()?.to_toml()?)
                .with_context(|| format!("cannot write {}", file.display()))?;
            println!("{} is written", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Work { scenario } => {
            println!("{}", callgrind::work(scenario));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure() -> Result<Figures> {
    let mut figures = Figures::default();
    for scenario in Scenario::value_variants() {
        figures.insert(*scenario, callgrind::measure(*scenario)?);
    }
    Ok(figures)
}

fn check(file: &PathBuf) -> Result<ExitCode> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let was = Figures::from_toml(&text)
        .with_context(|| format!("{} is not as `update` writes it", file.display()))?;
    let changes = was.compare(&measure()?);
    for change in &changes {
        println!("{change}");
    }
    let file = file.display();
    if changes.is_empty() {
        println!("the engine costs what {file} says");
    } else {
        println!(
            "`make engine-cost-update` writes the new figures to {file}; say in the commit why they changed"
        );
    }
    let grew = changes.iter().any(Change::is_growth);
    Ok(ExitCode::from(u8::from(grew)))
}

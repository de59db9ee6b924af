//! What a check found, as lines for people or as JSON for scripts.

use std::fmt::Display;

use serde::Serialize;

use crate::cli::terminal::{self, Tone, painted, printable};

/// Everything found, in the order in which it is shown.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    about: About,
    result: Outcome,
    text: String,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    Settings,
    Broker,
    Pbx,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Ok,
    /// The worker works, but otherwise than one might think.
    Advice,
    /// The worker cannot do its work.
    Fault,
}

impl Outcome {
    fn mark(self) -> String {
        match self {
            Self::Ok => painted('✓', Tone::Good),
            Self::Advice => painted('!', Tone::Doubtful),
            Self::Fault => painted('✗', Tone::Bad),
        }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    ok: bool,
    findings: &'a [Finding],
}

impl Report {
    pub(super) fn good(&mut self, about: About, text: impl Display) {
        self.add(about, Outcome::Ok, text);
    }

    pub(super) fn advice(&mut self, about: About, text: impl Display) {
        self.add(about, Outcome::Advice, text);
    }

    /// `text` says what is wrong and what to do about it.
    pub(super) fn fault(&mut self, about: About, text: impl Display) {
        self.add(about, Outcome::Fault, text);
    }

    pub(super) fn note(&mut self, about: About, finding: Result<impl Display, impl Display>) {
        match finding {
            Ok(text) => self.good(about, text),
            Err(text) => self.fault(about, text),
        }
    }

    pub(super) fn add(&mut self, about: About, result: Outcome, text: impl Display) {
        // What RabbitMQ says cannot forge a line.
        let text = printable(&text.to_string());
        self.findings.push(Finding {
            about,
            result,
            text,
        });
    }

    pub(super) fn is_good(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.result != Outcome::Fault)
    }

    /// To standard output.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            let whole = Whole {
                ok: self.is_good(),
                findings: &self.findings,
            };
            terminal::print_line(serde_json::to_string_pretty(&whole)?)?;
        } else {
            for Finding { result, text, .. } in &self.findings {
                terminal::print_line(format_args!("{} {text}", result.mark()))?;
            }
        }
        Ok(())
    }
}

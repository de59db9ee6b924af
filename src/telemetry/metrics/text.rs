//! The exposition format.

use std::fmt::{self, Write};

pub(super) const COUNTER_SUFFIX: &str = "_total";

/// What prometheus-client writes (`application/openmetrics-text`), in the older format that every scraper reads: there a
/// counter is described under its full name, and `# EOF` means nothing.
pub(super) fn classic(open_metrics: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some((_, words)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        {
            help = words;
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" {
                COUNTER_SUFFIX
            } else {
                ""
            };
            writeln!(
                text,
                "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}"
            )?;
        } else if !line.starts_with('#') {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_under_the_name_of_their_samples() {
        let open_metrics = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total 3\n# EOF\n";
        let expected = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 3\n";
        assert_eq!(classic(open_metrics).unwrap(), expected);
    }
}

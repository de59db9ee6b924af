//! What a query selects, `clockout_x{label="value"}`, held against what the worker exports.
//!
//! No parser of queries: only names with the worker's prefix, and the matchers that follow them, are looked at.

use std::collections::{BTreeMap, BTreeSet};

const PREFIX: &str = "clockout_";

/// Labels that Prometheus adds by itself, of any value.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// One use of a metric in a query.
#[derive(Debug)]
pub(crate) struct Selector<'q> {
    pub(crate) name: &'q str,
    matchers: Vec<Matcher<'q>>,
}

#[derive(Debug)]
struct Matcher<'q> {
    label: &'q str,
    /// More than one if they are a pattern's alternatives.
    values: Vec<&'q str>,
    /// Whether the label must be one of them, or must be none.
    wanted: bool,
}

/// Every selector of a text.
pub(crate) fn selectors(text: &str) -> Vec<Selector<'_>> {
    let starts = text.match_indices(PREFIX).map(|(start, _)| &text[start..]);
    starts.map(selector).collect()
}

fn selector(text: &str) -> Selector<'_> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let inside = rest
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .map_or("", |(inside, _)| inside);
    Selector {
        name,
        matchers: inside.split_terminator(',').map(matcher).collect(),
    }
}

fn matcher(text: &str) -> Matcher<'_> {
    let (head, value) = text.split_once('"').expect("a value in quotes");
    let value = value.trim_end().trim_end_matches('"');
    Matcher {
        label: head.trim().trim_end_matches(['=', '~', '!']),
        values: if head.contains('~') {
            value.split('|').collect()
        } else {
            vec![value]
        },
        wanted: !head.contains('!'),
    }
}

/// Of one series.
type Labels = BTreeMap<String, String>;

/// The series of a `/metrics` page.
#[derive(Debug)]
pub(crate) struct Exported {
    /// By their name, each with its labels.
    series: BTreeMap<String, Vec<Labels>>,
    /// As their `# TYPE` lines name them.
    metrics: BTreeSet<String>,
}

impl Exported {
    pub(crate) fn new(page: &str) -> Self {
        let mut series: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Selector { name, matchers } = selector(line);
            let owned = |matcher: &Matcher<'_>| (matcher.label.to_owned(), matcher.values.concat());
            let labels: Labels = matchers.iter().map(owned).collect();
            series.entry(name.to_owned()).or_default().push(labels);
        }
        let described = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let metrics = described.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
        Self {
            series,
            metrics: metrics.collect(),
        }
    }

    pub(crate) fn metrics(&self) -> &BTreeSet<String> {
        &self.metrics
    }

    /// The metric that a series belongs to: a histogram has three of them.
    pub(crate) fn metric<'n>(&self, series: &'n str) -> &'n str {
        let parts = ["_bucket", "_sum", "_count"];
        let stem = parts.iter().find_map(|part| series.strip_suffix(part));
        stem.filter(|stem| self.metrics.contains(*stem))
            .unwrap_or(series)
    }

    /// Whether each matcher fits some series, and each value of it is one that the label can have.
    pub(crate) fn matches(&self, selector: &Selector<'_>) -> bool {
        let Some(all) = self.series.get(selector.name) else {
            return false;
        };
        let known = |matcher: &Matcher<'_>| {
            TARGET_LABELS.contains(&matcher.label) || matcher.values_exist(all)
        };
        let fits =
            |labels: &Labels| (selector.matchers.iter()).all(|matcher| matcher.takes(labels));
        selector.matchers.iter().all(known) && all.iter().any(fits)
    }
}

impl Matcher<'_> {
    fn values_exist(&self, series: &[Labels]) -> bool {
        let exists = |value: &&str| {
            let mut labels = series.iter().filter_map(|labels| labels.get(self.label));
            labels.any(|is| is == value || is_variable(value))
        };
        self.values.iter().all(exists)
    }

    fn takes(&self, labels: &Labels) -> bool {
        let Some(is) = labels.get(self.label) else {
            return true;
        };
        let is_one = (self.values.iter()).any(|value| is == value || is_variable(value));
        is_one == self.wanted
    }
}

/// A dashboard fills it in.
fn is_variable(value: &str) -> bool {
    value.starts_with('$')
}

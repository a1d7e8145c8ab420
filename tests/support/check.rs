//! Compares what came out of a case with what the case expects.

mod headers;

use crate::case::{Case, Tick};
use crate::cel::status;
use crate::engine::Outcome;
use crate::series::Series;
use anyhow::{Context, Result, bail, ensure};

/// A pattern of series: `name{label="value",absent!}` with, for an expectation, a value behind it.
#[derive(Debug, PartialEq)]
struct Pattern {
    name: String,
    labels: Vec<Want>,
}

#[derive(Debug, PartialEq)]
enum Want {
    /// The label has this value.
    Value(String, String),
    /// There is no such label, or it is empty, which Prometheus takes for the same.
    Absent(String),
}

/// A number, or the least number allowed.
#[derive(Debug, PartialEq)]
enum Amount {
    Exactly(f64),
    AtLeast(f64),
}

/// Every way in which `outcome` is not what `case` expects, told for a person.
pub fn problems(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    refusal(case, outcome, &mut problems);
    if !case.problems.is_empty() && outcome.problems != case.problems {
        problems.push(format!("problems {:#?}\n  found {:#?}", case.problems, outcome.problems));
    }
    for line in &case.log {
        if !outcome.log.iter().any(|logged| logged.contains(line.as_str())) {
            problems.push(format!("no line of the log holds: {line}"));
        }
    }
    compare(&case.expect, &case.absent, &outcome.series, "", &mut problems);
    for (n, tick) in case.all_ticks().into_iter().enumerate() {
        let series = outcome.ticks.get(n).map_or(&[][..], Vec::as_slice);
        let when = format!("after tick {} ", n + 1);
        compare(&tick.expect, &tick.absent, series, &when, &mut problems);
    }
    headers::compare(case, outcome, &mut problems);
    problems
}

/// Whether the series are those that a tick expects.
pub(crate) fn is_after(tick: &Tick, series: &[Series]) -> bool {
    let mut problems = Vec::new();
    compare(&tick.expect, &tick.absent, series, "", &mut problems);
    problems.is_empty()
}

fn compare(
    expect: &[String],
    not: &[String],
    series: &[Series],
    when: &str,
    problems: &mut Vec<String>,
) {
    for text in expect {
        if let Err(problem) = expected(text, series) {
            problems.push(format!("{when}{text}\n  {problem:#}"));
        }
    }
    for text in not {
        if let Err(problem) = absent(text, series) {
            problems.push(format!("{when}not {text}\n  {problem:#}"));
        }
    }
}

/// A problem list as the message of a failed test, with the module's series and those of their labels that matter.
pub fn report(case: &Case, outcome: &Outcome, problems: &[String]) -> String {
    let matters = |label: &String| {
        let ticks = case.all_ticks().into_iter().flat_map(|tick| &tick.expect);
        let mut patterns = case.expect.iter().chain(&case.absent).chain(ticks);
        ["reporter", "response_code", "response_flags"].contains(&label.as_str())
            || patterns.any(|text| text.contains(label.as_str()))
    };
    let mut series: Vec<String> = outcome
        .series
        .iter()
        .filter(|s| !s.name.ends_with("_bucket") && !s.name.starts_with("envoy_"))
        .map(|s| {
            let mut shown = s.clone();
            shown.labels.retain(|label, _| matters(label));
            shown.to_string()
        })
        .collect();
    series.sort();
    format!(
        "rule: {}\nexpected {}\n--- series\n{}\n--- log\n{}\n--- refused\n{:?}",
        case.rule,
        problems.join("\nexpected "),
        series.join("\n"),
        outcome.log.join("\n"),
        outcome.refused,
    )
}

/// A host's status for a call on a metric.
pub(crate) fn done(accepted: bool) -> Result<(), u32> {
    if accepted { Ok(()) } else { Err(status::BAD_ARGUMENT) }
}

fn refusal(case: &Case, outcome: &Outcome, problems: &mut Vec<String>) {
    match (&outcome.refused, case.refused.is_empty()) {
        (Some(found), true) => {
            problems.push(format!("the configuration accepted, found {found:?}"))
        }
        (None, false) => problems.push("the configuration refused, it was accepted".to_owned()),
        (Some(found), false) if *found != case.refused => {
            problems.push(format!("problems {:?}\n  found {found:?}", case.refused));
        }
        _ => {}
    }
}

fn expected(text: &str, series: &[Series]) -> Result<()> {
    let (pattern, amount) = text.rsplit_once(' ').context("no value behind the series")?;
    let (pattern, amount) = (Pattern::parse(pattern)?, Amount::parse(amount)?);
    let found: Vec<&Series> = series.iter().filter(|s| pattern.matches(s)).collect();
    match found.as_slice() {
        [one] if amount.allows(one.value) => Ok(()),
        [one] => bail!("its value is {}", one.value),
        [] => bail!("no such series"),
        several => bail!("{} series match", several.len()),
    }
}

fn absent(text: &str, series: &[Series]) -> Result<()> {
    let pattern = Pattern::parse(text)?;
    match series.iter().find(|s| pattern.matches(s)) {
        Some(found) => bail!("found {found}"),
        None => Ok(()),
    }
}

// === impl Pattern ===

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let Some((name, labels)) = text.split_once('{') else {
            return Ok(Self { name: text.to_owned(), labels: Vec::new() });
        };
        let mut rest = labels;
        let mut labels = Vec::new();
        while !rest.starts_with('}') {
            let end = rest.find(['=', '!']).context("no label")?;
            let label = rest[..end].to_owned();
            if let Some(after) = rest[end..].strip_prefix('!') {
                labels.push(Want::Absent(label));
                rest = after;
            } else {
                let value = rest[end..].strip_prefix("=\"").context("a label value has quotes")?;
                let (value, after) = value.split_once('"').context("no closing quote")?;
                labels.push(Want::Value(label, value.to_owned()));
                rest = after;
            }
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        ensure!(rest == "}", "text behind the labels");
        Ok(Self { name: name.to_owned(), labels })
    }

    fn matches(&self, series: &Series) -> bool {
        let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
        series.name == self.name
            && self.labels.iter().all(|want| match want {
                Want::Value(name, value) => label(name) == value,
                Want::Absent(name) => label(name).is_empty(),
            })
    }
}

// === impl Amount ===

impl Amount {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text.strip_prefix(">=") {
            Some(least) => Self::AtLeast(least.parse()?),
            None => Self::Exactly(text.parse()?),
        })
    }

    fn allows(&self, value: f64) -> bool {
        match self {
            #[allow(clippy::float_cmp, reason = "values of counters are whole numbers")]
            Self::Exactly(wanted) => value == *wanted,
            Self::AtLeast(least) => value >= *least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::parse_scrape;

    const SCRAPE: &str = "a{x=\"1\",y=\"\"} 3\na{x=\"2\",y=\"b\"} 4\nb 1\n";

    fn series() -> Vec<Series> {
        parse_scrape(SCRAPE).unwrap()
    }

    #[test]
    fn exactly_one_series_has_to_match() {
        for fine in ["a{x=\"1\"} 3", "a{x=\"1\",y!} 3", "a{y=\"b\"} >=4", "b 1", "b{x!} 1"] {
            expected(fine, &series()).unwrap();
        }
        for (wrong, problem) in [
            ("a{x=\"1\"} 2", "its value is 3"),
            ("a{x=\"3\"} 2", "no such series"),
            ("a{} 3", "2 series match"),
            ("a{y!,x=\"2\"} 4", "no such series"),
            ("c 1", "no such series"),
            ("a{x=\"1\"}", "no value behind the series"),
            ("b >=2", "its value is 1"),
        ] {
            assert_eq!(expected(wrong, &series()).unwrap_err().to_string(), problem, "{wrong}");
        }
    }

    #[test]
    fn an_absent_series_must_not_match() {
        absent("a{x=\"3\"}", &series()).unwrap();
        assert_eq!(
            absent("a{x=\"2\"}", &series()).unwrap_err().to_string(),
            "found a{x=\"2\",y=\"b\"} 4"
        );
        absent("a{x=2}", &series()).unwrap_err();
    }
}

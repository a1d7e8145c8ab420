//! Series as Prometheus sees them: read from a scrape, or from a stat name, compared with what a case expects.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt;

/// One sample. A histogram is its `_bucket`, `_sum` and `_count` samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Metric name.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

// === impl Series ===

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        write!(f, "{}{{{}}} {}", self.name, labels.join(","), self.value)
    }
}

/// Reads Prometheus' text format (version 0.0.4); comments are left out.
///
/// Written here because `prometheus-parse` splits label values at commas, and response flags hold commas.
///
/// # Errors
/// The first line that is not in the format.
pub fn parse_scrape(text: &str) -> Result<Vec<Series>> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| sample(line).with_context(|| format!("not a sample: {line}")))
        .collect()
}

fn sample(line: &str) -> Result<Series> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").context("no label value")?;
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                bail!("label {label} twice");
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next().context("no value")?;
    let value = value.parse().with_context(|| format!("{value} is not a number"))?;
    Ok(Series { name: name.to_owned(), labels, value })
}

/// A label value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c)) => value.push(c),
                None => bail!("value ends in a backslash"),
            },
            c => value.push(c),
        }
    }
    bail!("value without a closing quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read() {
        let text = "# TYPE a counter\na{x=\"1,2\",y=\"=\\\"\\\\\\n\",} 3 1700000000\nb 0.5\nc{le=\"+Inf\"} NaN\n\n";
        let series = parse_scrape(text).unwrap();
        assert_eq!(series[0].to_string(), "a{x=\"1,2\",y=\"=\\\"\\\\\\n\"} 3");
        assert_eq!(series[1].to_string(), "b{} 0.5");
        assert!(series[2].value.is_nan());
    }

    #[test]
    fn a_broken_line_is_told() {
        for line in ["a", "a{", "a{x=1} 1", "a{x=\"1} 1", "a{x=\"1\",x=\"2\"} 1", "a{x=\"1\"} x"] {
            assert!(parse_scrape(line).is_err(), "{line}");
        }
    }
}

//! A scrape of `/stats/prometheus`.
//!
//! Read by own code because label values hold commas, braces and equal signs here (`UF,URX`, `GET /items/{id}`), which the common small
//! parser crate splits at. The grammar is the Prometheus text exposition format 0.0.4.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::http::Http;

/// One series and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// The line as the proxy wrote it.
    pub line: String,
}

/// All series of one proxy.
#[derive(Clone, Debug, Default)]
pub struct Scrape(Vec<Sample>);

// === impl Sample ===

impl Sample {
    /// The label's value, empty when it is not there: Prometheus does not tell the two apart.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn parse(line: &str) -> Option<Self> {
        let name_end = line.find(['{', ' ', '\t'])?;
        let (name, rest) = line.split_at(name_end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value, line: line.to_owned() })
    }
}

/// Reads `a="b",c="d"}` and returns what follows.
fn parse_labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = parse_value(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// Reads up to the closing quote and returns what follows it.
fn parse_value(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

// === impl Scrape ===

impl Scrape {
    pub async fn fetch(http: &Http, proxy: SocketAddr) -> Result<Self> {
        let url = stats_url(proxy);
        let answer = http.get(&url).await?;
        ensure!(answer.status.is_success(), "{url} answered {}", answer.status);
        Ok(Self::parse(&answer.text))
    }

    /// Lines that are no samples (comments, or not of the format) are left out.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(Sample::parse).collect())
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Sum over all series of one name.
    pub fn total(&self, name: &str) -> f64 {
        self.named(name).map(|sample| sample.value).sum()
    }
}

/// Where a proxy is scraped.
pub fn stats_url(proxy: SocketAddr) -> String {
    format!("http://{proxy}/stats/prometheus")
}

#[cfg(test)]
mod tests {
    use super::{Sample, Scrape};

    #[test]
    fn comments_and_broken_lines_are_left_out() {
        let scrape = Scrape::parse(
            "# TYPE a counter\na{} 1\n\na 2 1700000000\nb{x=\"1\" 3\nc{x=\"1\"} three\nd 4\n",
        );
        assert_eq!(scrape.total("a"), 3.0);
        assert_eq!(scrape.named("b").count() + scrape.named("c").count(), 0);
        assert_eq!(scrape.total("d"), 4.0);
    }

    #[test]
    fn label_values_may_hold_any_character() {
        let line = r#"r{flags="UF,URX",op="GET /items/{id}",q="a=\"b\" \\ c\nd",empty=""} 7"#;
        let sample = Sample::parse(line).unwrap();
        assert_eq!(sample.label("flags"), "UF,URX");
        assert_eq!(sample.label("op"), "GET /items/{id}");
        assert_eq!(sample.label("q"), "a=\"b\" \\ c\nd");
        assert_eq!((sample.label("empty"), sample.label("absent")), ("", ""));
        assert_eq!((sample.value, sample.line.as_str()), (7.0, line));
    }

    #[test]
    fn infinite_bounds_are_numbers() {
        let scrape = Scrape::parse("h_bucket{le=\"+Inf\"} 2\n");
        let bound: f64 = scrape.named("h_bucket").next().unwrap().label("le").parse().unwrap();
        assert!(bound.is_infinite());
    }
}

//! Reads what the view needs out of a scrape, line by line, without keeping the rest: a proxy may serve hundreds of
//! thousands of lines with twenty-five labels each.
//!
//! The grammar is the Prometheus text exposition format 0.0.4.

use std::borrow::Cow;

/// One series of interest.
#[derive(Debug, PartialEq)]
pub struct Line<'t> {
    /// Which metric.
    pub metric: Metric,
    /// Values of the wanted labels, in their order; empty for one that is not there.
    pub labels: Vec<Cow<'t, str>>,
    /// HTTP status.
    pub code: Cow<'t, str>,
    /// gRPC status.
    pub grpc: Cow<'t, str>,
    /// Upper bound of the bucket.
    pub bound: f64,
    /// The sample.
    pub value: f64,
}

/// The metrics of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `istio_requests_total`.
    Requests,
    /// `istio_request_duration_milliseconds_bucket`.
    Duration,
}

const REQUESTS: &str = "istio_requests_total";
const DURATION: &str = "istio_request_duration_milliseconds_bucket";

/// Whether a line is a sample at all.
pub fn is_sample(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

/// Reads a line; `None` when it is of no interest, or broken. `by` are the wanted labels.
pub fn read<'t>(line: &'t str, by: &[String]) -> Option<Line<'t>> {
    let (metric, mut rest) = match line.strip_prefix(REQUESTS) {
        Some(rest) => (Metric::Requests, rest),
        None => (Metric::Duration, line.strip_prefix(DURATION)?),
    };
    let mut found = Line {
        metric,
        labels: vec![Cow::Borrowed(""); by.len()],
        code: Cow::Borrowed(""),
        grpc: Cow::Borrowed(""),
        bound: f64::INFINITY,
        value: 0.0,
    };
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (name, quoted) = rest.split_once("=\"")?;
            let (value, after) = value(quoted)?;
            rest = after;
            found.take(name, value, by)?;
        }
    }
    found.value = rest.split_whitespace().next()?.parse().ok()?;
    Some(found)
}

// === impl Line ===

impl<'t> Line<'t> {
    fn take(&mut self, name: &str, value: Cow<'t, str>, by: &[String]) -> Option<()> {
        if let Some(place) = by.iter().position(|wanted| wanted == name) {
            self.labels[place] = value.clone();
        }
        match name {
            "response_code" => self.code = value,
            "grpc_response_status" => self.grpc = value,
            "le" => self.bound = value.parse().ok()?,
            _ => {}
        }
        Some(())
    }

    /// 4xx, 5xx, no answer, or a gRPC status other than OK.
    pub fn is_error(&self) -> bool {
        let code = !matches!(self.code.as_bytes().first(), Some(b'1'..=b'3'));
        code || !matches!(&*self.grpc, "" | "0")
    }
}

/// A value up to its closing quote, and what follows.
fn value(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = quoted.find(['"', '\\'])?;
    if quoted.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&quoted[..end]), &quoted[end + 1..]));
    }
    let mut text = quoted[..end].to_owned();
    let mut chars = quoted[end..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(text), &quoted[end + at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Metric, read};

    #[test]
    fn only_what_is_wanted_is_read() {
        let by = ["op".to_owned(), "absent".to_owned()];
        let line = r#"istio_requests_total{flags="UF,URX",op="GET /{id}\"\\",response_code="503",grpc_response_status=""} 7"#;
        let found = read(line, &by).unwrap();
        assert_eq!((found.metric, found.value), (Metric::Requests, 7.0));
        assert_eq!(found.labels, ["GET /{id}\"\\", ""]);
        assert!(found.is_error());
        let bucket =
            r#"istio_request_duration_milliseconds_bucket{op="x",response_code="200",le="0.5"} 3"#;
        let found = read(bucket, &by).unwrap();
        assert_eq!((found.metric, found.bound, found.is_error()), (Metric::Duration, 0.5, false));
        for other in
            ["# TYPE istio_requests_total counter", "envoy_x 1", "istio_requests_total{a=\"b\" 1"]
        {
            assert_eq!(read(other, &by), None);
        }
    }

    #[test]
    fn a_failed_grpc_call_is_an_error() {
        let line = |grpc: &str| {
            format!(
                "istio_requests_total{{response_code=\"200\",grpc_response_status=\"{grpc}\"}} 1"
            )
        };
        assert!(read(&line("13"), &[]).unwrap().is_error());
        assert!(!read(&line("0"), &[]).unwrap().is_error());
    }
}

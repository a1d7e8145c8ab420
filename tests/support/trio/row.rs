//! What a request or connection is counted by.

use crate::series::Series;
use anyhow::{Context, Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The labels that an access log has as well. Written as `source grpc 200 - 5`; without a gRPC status, the last is left out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub struct Row {
    /// `source` or `destination`.
    pub reporter: String,
    /// `request_protocol`.
    pub protocol: String,
    /// `response_code`; `0` for a connection, which has none.
    pub code: String,
    /// `response_flags`.
    pub flags: String,
    /// `grpc_response_status`.
    pub grpc: String,
}

/// How many of each.
pub type Counts = BTreeMap<Row, u64>;

// === impl Row ===

impl Row {
    /// Labels of a series.
    ///
    /// # Errors
    /// When it has no reporter.
    pub fn of_series(series: &Series) -> Result<Self> {
        let label = |name: &str| series.labels.get(name).cloned();
        Ok(Self {
            reporter: label("reporter").with_context(|| series.to_string())?,
            protocol: label("request_protocol").unwrap_or_default(),
            code: label("response_code").unwrap_or_else(|| "0".to_owned()),
            flags: label("response_flags").unwrap_or_default(),
            grpc: label("grpc_response_status").unwrap_or_default(),
        })
    }

    /// What the series have to say of a line of the access log.
    ///
    /// The protocol is `grpc` for the content types that Envoy takes for gRPC: `application/grpc`, alone or with `+` and
    /// something.
    ///
    /// # Errors
    /// When a field is missing.
    pub fn of_log(line: &Value) -> Result<Self> {
        let text = |name: &str| match &line[name] {
            Value::Null => Ok("-".to_owned()),
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(Error::msg(format!("{name}: {other}"))),
        };
        let content = text("content_type")?;
        let protocol = match content.strip_prefix("application/grpc") {
            _ if line["layer"] == "tcp" => "tcp",
            Some(rest) if rest.is_empty() || rest.starts_with('+') => "grpc",
            _ => "http",
        };
        let status = text("grpc_status")?;
        Ok(Self {
            reporter: text("reporter")?,
            protocol: protocol.to_owned(),
            code: text("code")?,
            flags: text("flags")?,
            grpc: if status == "-" || protocol != "grpc" { String::new() } else { status },
        })
    }

    /// Without what a filter that rewrites the content type changes in an access log.
    #[must_use]
    pub fn without_protocol(&self) -> Self {
        Self { protocol: "any".to_owned(), grpc: String::new(), ..self.clone() }
    }
}

impl FromStr for Row {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split(' ').map(str::to_owned);
        let mut word = || words.next().with_context(|| format!("{text:?} is no row"));
        Ok(Self {
            reporter: word()?,
            protocol: word()?,
            code: word()?,
            flags: word()?,
            grpc: words.next().unwrap_or_default(),
        })
    }
}

impl TryFrom<String> for Row {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reporter, protocol, code, flags, grpc } = self;
        let space = if grpc.is_empty() { "" } else { " " };
        write!(f, "{reporter} {protocol} {code} {flags}{space}{grpc}")
    }
}

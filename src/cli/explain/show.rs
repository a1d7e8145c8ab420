//! The explanation for people and programs.

use anyhow::Result;
use opmeter_core::config::{Config, StatNames};
use opmeter_core::port::MetricKind;
use serde_json::{Map, Value, json};

use super::ExplainArgs;
use super::attribute::Explained;
use super::host::{Model, Statistics};
use super::label::source;
use crate::finding::Format;
use crate::table;

/// Prints attributes, labels, stat names and the lines of a scrape.
pub fn print(
    attributes: &[Explained],
    config: &Config,
    model: &Model,
    statistics: &Statistics,
    args: &ExplainArgs,
) -> Result<()> {
    let recorded: Vec<Series> = statistics
        .metrics
        .iter()
        .filter(|(_, name, _)| !name.contains("opmeter_") && !name.ends_with("_build"))
        .filter_map(|(kind, name, value)| Series::read(*kind, name, (*value)?, &config.stat_names))
        .collect();
    match args.format {
        Format::Json => {
            let series: Vec<Value> =
                recorded.iter().map(|series| series.json(config, args)).collect();
            let published: Map<String, Value> = model
                .published
                .iter()
                .map(|(name, value)| (format!("wasm.{name}"), value.as_str().into()))
                .collect();
            let all =
                json!({"attributes": attributes, "filter_state": published, "series": series});
            anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Text => anstream::println!("{}", text(attributes, config, &recorded, args)),
    }
    Ok(())
}

/// One metric that was recorded.
struct Series {
    kind: MetricKind,
    metric: String,
    stat: String,
    labels: Vec<(String, String)>,
    value: i128,
}

// === impl Series ===

impl Series {
    fn read(kind: MetricKind, stat: &str, value: i128, names: &StatNames) -> Option<Self> {
        let mut parts: Vec<&str> = stat.split(names.field_separator.as_str()).collect();
        let metric = parts.pop()?.to_owned();
        let labels =
            parts.iter().filter_map(|part| part.split_once(names.value_separator.as_str()));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { kind, metric, stat: stat.to_owned(), labels, value })
    }

    /// As Prometheus reads it; of a histogram, the sum.
    fn line(&self) -> String {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                format!("{name}=\"{value}\"")
            })
            .collect();
        let suffix = if self.kind == MetricKind::Histogram { "_sum" } else { "" };
        format!("{}{suffix}{{{}}} {}", self.metric, labels.join(","), self.value)
    }

    fn json(&self, config: &Config, args: &ExplainArgs) -> Value {
        let labels: Vec<Value> = self
            .labels
            .iter()
            .map(|(name, value)| {
                let source = source(name, &self.metric, config, args.side);
                json!({"label": name, "value": value, "source": source})
            })
            .collect();
        json!({
            "metric": self.metric,
            "labels": labels,
            "stat": format!("wasmcustom.{}", self.stat),
            "prometheus": self.line(),
        })
    }
}

fn text(
    attributes: &[Explained],
    config: &Config,
    recorded: &[Series],
    args: &ExplainArgs,
) -> String {
    let mut out = String::new();
    for attribute in attributes {
        let value = attribute.value.as_deref().unwrap_or("(not set)");
        out += &format!("{} = {value}\n", attribute.name);
        out += &format!("  by    {}: {}\n", attribute.rule, attribute.says);
        if !attribute.class.is_empty() {
            out += &format!("  class {}, {}\n", attribute.class, attribute.phase);
        }
        out += &format!("  read  filter_state['wasm.{}']\n\n", attribute.name);
    }
    let Some(first) = recorded.first() else {
        out += "No metric is recorded: the configuration emits none for requests.";
        return out;
    };
    let mut labels = table::new(&["label", "value", "source"]);
    for (name, value) in &first.labels {
        labels.add_row([name, value, &source(name, &first.metric, config, args.side)]);
    }
    out += &format!("Labels of {}\n{}\n", first.metric, labels.trim_fmt());
    out += &format!("\nStat in Envoy\n  wasmcustom.{}\n\nIn Prometheus\n", first.stat);
    for series in recorded {
        // What a request takes and weighs is not known here, and the labels are the same for all of them.
        out += &match series.kind {
            MetricKind::Histogram if series.labels == first.labels => {
                format!("  {} (histogram) with the same labels\n", series.metric)
            }
            _ => format!("  {}\n", series.line()),
        };
    }
    out.trim_end().to_owned()
}

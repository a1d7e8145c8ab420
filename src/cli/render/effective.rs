//! What a workload ends up with when all Telemetry resources are applied.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use super::RenderArgs;
use crate::documents::load;
use crate::telemetry::{Mode, PerMetric, Resolved, Workload, read, resolve};

/// Prints the stats filters' configuration per side, and which resources it comes from.
pub fn run(args: &RenderArgs, namespace: &str) -> Result<ExitCode> {
    let (documents, broken) = load(&args.files)?;
    if let Some(finding) = broken.first() {
        bail!("{}: {}", finding.source.name, finding.message);
    }
    let telemetries: Vec<_> = documents.iter().filter_map(read).collect();
    let workload = Workload { namespace, labels: &args.labels };
    let resolved = resolve(&telemetries, &args.root, &workload);
    for name in &resolved.applied {
        anstream::println!("# applied: {name}");
    }
    for name in &resolved.passed_over {
        anstream::println!(
            "# not applied: {name}, another without a selector is older in its namespace"
        );
    }
    if !resolved.provided {
        anstream::println!("# prometheus is not among the providers: no metrics");
    }
    anstream::print!("{}", serde_yaml_ng::to_string(&sides(&resolved))?);
    Ok(ExitCode::SUCCESS)
}

fn sides(resolved: &Resolved) -> Value {
    json!({
        "inbound": side(resolved, Mode::Server),
        "outbound": side(resolved, Mode::Client),
    })
}

/// `null` where there is no stats filter.
fn side(resolved: &Resolved, mode: Mode) -> Value {
    let Some(metrics) = resolved.side(mode) else { return Value::Null };
    let mut config = Map::new();
    if mode == Mode::Server {
        config.insert("disable_host_header_fallback".to_owned(), true.into());
    }
    if !metrics.is_empty() {
        config.insert("metrics".to_owned(), metrics.iter().map(entry).collect());
    }
    if let Some(interval) = &resolved.interval {
        config.insert("tcp_reporting_duration".to_owned(), interval.clone().into());
    }
    Value::Object(config)
}

fn entry(metric: &PerMetric) -> Value {
    let mut entry = json!({"name": metric.name});
    if metric.drop {
        entry["drop"] = true.into();
    }
    if !metric.dimensions.is_empty() {
        let dimensions: Map<String, Value> = metric
            .dimensions
            .iter()
            .map(|(label, text)| (label.clone(), text.clone().into()))
            .collect();
        entry["dimensions"] = dimensions.into();
    }
    if !metric.tags_to_remove.is_empty() {
        entry["tags_to_remove"] = metric.tags_to_remove.clone().into();
    }
    entry
}

//! Operations as a table or as a configuration.

use anyhow::Result;
use opmeter_core::{config, configure};
use serde_json::{Value, json};

use super::merge::Merged;
use super::{OpenapiArgs, Print};
use crate::budget::{Estimate, Scale, Shape, estimate};
use crate::finding::Format;
use crate::offline::Offline;
use crate::table;

/// Finite bounds of Istio's histograms.
const BOUNDS: u64 = 19;

/// Prints what was asked for.
pub fn print(merged: &Merged, args: &OpenapiArgs) -> Result<()> {
    let configuration = configuration(merged, args);
    match (args.print, args.format) {
        (Print::Json, _) => {
            anstream::println!("{}", serde_json::to_string_pretty(&configuration)?);
        }
        (Print::Yaml, _) => anstream::print!("{}", serde_yaml_ng::to_string(&configuration)?),
        (Print::Summary, Format::Json) => {
            let cost = cost(&configuration, args)?;
            anstream::println!("{}", serde_json::to_string_pretty(&summary(merged, &cost))?);
        }
        (Print::Summary, Format::Text) => {
            let cost = cost(&configuration, args)?;
            anstream::println!("{}", text(merged, &cost, args));
        }
    }
    Ok(())
}

fn configuration(merged: &Merged, args: &OpenapiArgs) -> Value {
    let operations: Vec<Value> = merged
        .operations
        .iter()
        .map(|operation| {
            json!({
                "method": operation.method,
                "path": operation.template.text(),
                "value": operation.name,
            })
        })
        .collect();
    json!({
        "attributes": [{"output_attribute": args.attribute, "operations": operations}],
        "metrics": [{"dimensions": {args.label.as_str(): args.attribute}}],
    })
}

fn cost(configuration: &Value, args: &OpenapiArgs) -> Result<Estimate> {
    let text = configuration.to_string();
    let refused = |problems: Vec<opmeter_core::Diagnostic>| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the module does not take this: {}", problems.join("; "))
    };
    let (config, _) = config::parse(text.as_bytes()).map_err(|problem| refused(vec![problem]))?;
    let plan = configure(text.as_bytes(), &mut Offline::default());
    let plan = plan.map_err(|unusable| refused(unusable.into_problems()))?.plan;
    let scale = Scale::new(&args.scale, args.scale.bounds.unwrap_or(BOUNDS));
    Ok(estimate(&Shape::new(&config, &plan, &args.scale.values), &scale))
}

fn summary(merged: &Merged, cost: &Estimate) -> Value {
    let operations: Vec<Value> = merged
        .operations
        .iter()
        .map(|operation| {
            json!({
                "operation": operation.name,
                "method": operation.method,
                "path": operation.template.text(),
                "origin": operation.origin,
            })
        })
        .collect();
    json!({
        "operations": operations,
        "repeated": merged.repeated,
        "shared_names": merged.shared.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "cost": cost,
    })
}

fn text(merged: &Merged, cost: &Estimate, args: &OpenapiArgs) -> String {
    let mut rows = table::new(&["operation", "method", "path", "from"]);
    for operation in &merged.operations {
        rows.add_row([
            operation.name.as_str(),
            &operation.method,
            operation.template.text(),
            operation.origin.split(": ").next().unwrap_or_default(),
        ]);
    }
    let values: std::collections::BTreeSet<&str> =
        merged.operations.iter().map(|operation| operation.name.as_str()).collect();
    let mut text = rows.trim_fmt();
    text += &format!(
        "\n\n{} operations with {} names; {} repeated",
        table::count(merged.operations.len() as u64),
        table::count(values.len() as u64),
        table::count(merged.repeated as u64),
    );
    text += &format!(
        "\nAt most {} series per proxy ({} peers, {} codes), {} of Envoy's memory",
        table::count(cost.series),
        table::count(args.scale.peers),
        table::count(args.scale.codes),
        table::bytes(cost.proxy_bytes),
    );
    for (name, count) in &merged.shared {
        text += &format!("\nThe name {name} stands for {count} operations: their metrics are one");
    }
    text
}

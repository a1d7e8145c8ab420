//! IstioOperator: stats configuration of old releases.

use opmeter_core::{Severity, config};

use crate::documents::Document;
use crate::finding::{Finding, Rule};
use crate::version::IstioVersion;

const OVERRIDE: &[&str] = &["spec", "values", "telemetry", "v2", "prometheus", "configOverride"];
const SIDES: [&str; 3] = ["inboundSidecar", "outboundSidecar", "gateway"];

/// `configOverride`: whether it counts, and whether it says what it means.
pub fn check(document: &Document, version: IstioVersion, findings: &mut Vec<Finding>) {
    let Some(node) = document.node.down(OVERRIDE) else { return };
    if version.ignores_config_override() {
        let entry =
            document.node.down(&OVERRIDE[..5]).and_then(|node| node.entry("configOverride"));
        let span = entry.map_or(&node.span, |entry| &entry.key_span);
        let message = format!("Istio {version} takes no notice of configOverride");
        findings.push(
            Finding::warning(Rule::Ignored, &document.source, span, message)
                .why("it was removed in Istio 1.21; metrics are defined by a plugin, tags by Telemetry")
                .fix("move it to a WasmPlugin or a Telemetry resource: `opmeter render` writes both"),
        );
    }
    for entry in node.entries() {
        if !SIDES.contains(&entry.key.as_str()) {
            let message = format!("unknown side \"{}\"", entry.key);
            findings.push(
                Finding::warning(Rule::Ignored, &document.source, &entry.key_span, message)
                    .fix(format!("known are {}", SIDES.join(", "))),
            );
            continue;
        }
        let problems = match config::parse(entry.value.to_json().to_string().as_bytes()) {
            Ok((_, warnings)) => warnings,
            Err(problem) => vec![problem],
        };
        for problem in problems {
            let place = entry.value.find(&problem.path);
            let (rule, span) = match problem.severity {
                Severity::Error => (Rule::Invalid, place.key_span()),
                Severity::Warning => (Rule::LeftOut, place.value_span()),
            };
            findings.push(
                Finding::warning(rule, &document.source, &span, &problem.message)
                    .at(&problem.path)
                    .why("Istio passes over what it does not know")
                    .fix("change or remove it"),
            );
        }
    }
}

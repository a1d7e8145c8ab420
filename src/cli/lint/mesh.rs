//! What only the files together tell: native and Wasm stats in one proxy.

use super::Scene;
use super::configuration::accepted;
use crate::documents::{Document, DocumentKind, Home};
use crate::finding::{Finding, Rule};
use crate::text::Node;

/// Istio's native stats beside the module's standard metrics. In a bootstrap the chain itself tells, see `bootstrap`.
pub fn check(scene: &Scene, findings: &mut Vec<Finding>) {
    let off = scene.telemetries.iter().any(|telemetry| {
        let overrides = telemetry.metrics.iter().flat_map(|entry| &entry.overrides);
        overrides.into_iter().any(|change| change.is_all() && change.disabled == Some(true))
    });
    if off || scene.documents.iter().any(is_switched_off) {
        return;
    }
    for plugin in scene.plugins.iter().filter(|plugin| plugin.home == Home::Istio) {
        let emits = accepted(plugin).is_some_and(|accepted| accepted.config.standard_metrics);
        if emits {
            let message = "Istio's native stats and this plugin both emit the standard metrics";
            let finding =
                Finding::warning(Rule::NativeAlsoOn, &plugin.source, &plugin.anchor, message);
            findings.push(finding.fix(
                "disable ALL_METRICS in a Telemetry for these workloads (give its file in the same call), or set \"standard_metrics\": false",
            ));
        }
    }
}

/// Install values without Prometheus' stats filters.
fn is_switched_off(document: &Document) -> bool {
    let spec = document.node.get("spec");
    let off =
        |keys: &[&str]| spec.and_then(|spec| spec.down(keys)).and_then(Node::text) == Some("false");
    document.kind == DocumentKind::IstioOperator
        && (off(&["values", "telemetry", "enabled"])
            || off(&["values", "telemetry", "v2", "enabled"])
            || off(&["values", "telemetry", "v2", "prometheus", "enabled"]))
}

//! Where an EnvoyFilter puts the module.

use super::Scene;
use super::bootstrap::derives_late;
use super::configuration::accepted;
use crate::documents::Document;
use crate::finding::{Finding, Rule};
use crate::text::Node;

const OPERATIONS: [&str; 6] =
    ["ADD", "INSERT_AFTER", "INSERT_BEFORE", "INSERT_FIRST", "MERGE", "REPLACE"];
const CONTEXTS: [&str; 5] = ["ANY", "GATEWAY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "WAYPOINT"];

/// Order against Istio's own stats, and names of enums.
pub fn check(document: &Document, scene: &Scene, findings: &mut Vec<Finding>) {
    let patches = document.node.down(&["spec", "configPatches"]);
    for patch in patches.map(Node::items).unwrap_or_default() {
        let choice = |path: &[&str], allowed: &[&str], findings: &mut Vec<Finding>| {
            super::wasm_plugin::choice(document, patch.down(path), allowed, findings);
        };
        choice(&["match", "context"], &CONTEXTS, findings);
        choice(&["patch", "operation"], &[&OPERATIONS[..], &["REMOVE"]].concat(), findings);
        order(document, patch, scene, findings);
    }
}

/// Istio's stats filter stands right before the router: what is inserted before the router comes after it.
fn order(document: &Document, patch: &Node, scene: &Scene, findings: &mut Vec<Finding>) {
    let Some(operation) = patch.down(&["patch", "operation"]) else { return };
    let beside =
        patch.text_at(&["match", "listener", "filterChain", "filter", "subFilter", "name"]);
    if beside == Some("envoy.filters.http.router") && operation.text() == Some("INSERT_AFTER") {
        let message = "a filter behind the router";
        findings.push(
            Finding::error(Rule::Invalid, &document.source, &operation.span, message)
                .why("the router is the last filter: Envoy refuses the listener")
                .fix("write INSERT_BEFORE"),
        );
    }
    let late = matches!(
        (operation.text(), beside),
        (Some("INSERT_BEFORE"), Some("envoy.filters.http.router"))
            | (Some("INSERT_AFTER"), Some("istio.stats" | "envoy.filters.http.istio_stats"))
    );
    let Some(value) = patch.down(&["patch", "value"]).filter(|_| late) else { return };
    let mut plugins = scene.plugins.iter().filter(|plugin| {
        std::rc::Rc::ptr_eq(&plugin.source, &document.source)
            && value.span.contains(&plugin.anchor.start)
    });
    let for_native = plugins.any(|plugin| {
        accepted(plugin).is_some_and(|accepted| {
            let config = accepted.config;
            !config.standard_metrics && config.definitions.is_empty() && derives_late(&config)
        })
    });
    if for_native {
        let message = "the attributes are derived after Istio's stats have been written";
        findings.push(
            Finding::warning(Rule::Order, &document.source, &operation.span, message)
                .fix("insert it before istio.stats, or set \"phase\": \"ON_REQUEST\""),
        );
    }
}

//! WasmPlugin and TrafficExtension beyond the plugin configuration (Istio, `extensions/v1alpha1/wasm.proto`).

use crate::documents::Document;
use crate::finding::{Finding, Rule};
use crate::text::Node;
use opmeter_core::diag::nearest;

const FIELDS: &[&str] = &[
    "failStrategy",
    "imagePullPolicy",
    "imagePullSecret",
    "match",
    "phase",
    "pluginConfig",
    "pluginName",
    "priority",
    "selector",
    "sha256",
    "targetRef",
    "targetRefs",
    "type",
    "url",
    "verificationKey",
    "vmConfig",
];
const PHASES: &[&str] = &["AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE"];
const STRATEGIES: &[&str] = &["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"];
const PULL: &[&str] = &["Always", "IfNotPresent", "UNSPECIFIED_POLICY"];
const TYPES: &[&str] = &["HTTP", "NETWORK", "UNSPECIFIED_PLUGIN_TYPE"];
const MODES: &[&str] = &["CLIENT", "CLIENT_AND_SERVER", "SERVER", "UNDEFINED"];

/// Names of fields and enums, and the checksum's form.
pub fn check(document: &Document, findings: &mut Vec<Finding>) {
    let Some(spec) = document.node.get("spec") else { return };
    let is_wasm_plugin = document.node.text_at(&["kind"]) == Some("WasmPlugin");
    for entry in spec.entries().iter().filter(|_| is_wasm_plugin) {
        if !FIELDS.contains(&entry.key.as_str()) {
            let message = format!("unknown field \"{}\"", entry.key);
            let finding = Finding::error(Rule::Invalid, &document.source, &entry.key_span, message);
            let near = nearest(&entry.key, FIELDS.iter().copied());
            findings.push(finding.fix(near.map_or_else(
                || format!("known are {}", FIELDS.join(", ")),
                |near| format!("write {near}"),
            )));
        }
    }
    for (field, allowed) in [
        ("phase", PHASES),
        ("failStrategy", STRATEGIES),
        ("imagePullPolicy", PULL),
        ("type", TYPES),
    ] {
        choice(document, spec.get(field), allowed, findings);
    }
    for side in spec.get("match").map(Node::items).unwrap_or_default() {
        choice(document, side.get("mode"), MODES, findings);
    }
    if let Some((node, sum)) = spec.get("sha256").and_then(|node| Some((node, node.text()?)))
        && !(sum.is_empty() || sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        let message = "not a SHA-256 checksum";
        findings.push(
            Finding::error(Rule::Invalid, &document.source, &node.span, message)
                .fix("give 64 hexadecimal digits, or leave it out"),
        );
    }
}

/// A scalar that has to be one of some words.
pub fn choice(
    document: &Document,
    node: Option<&Node>,
    allowed: &[&str],
    findings: &mut Vec<Finding>,
) {
    let Some((node, text)) = node.and_then(|node| Some((node, node.text()?))) else { return };
    if !allowed.contains(&text) {
        let message = format!("found \"{text}\", expected {}", allowed.join(" or "));
        let near = nearest(text, allowed.iter().copied());
        findings.push(Finding::error(Rule::Invalid, &document.source, &node.span, message).fix(
            near.map_or_else(|| "choose one of them".to_owned(), |near| format!("write {near}")),
        ));
    }
}

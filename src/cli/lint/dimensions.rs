//! Where label values come from, and how many there can be.

use opmeter_core::config::Dimension;
use opmeter_core::metric::standard::Occasion;

use super::Scene;
use super::configuration::Accepted;
use super::rules::told;
use crate::documents::Plugin;
use crate::expression::{ATTRIBUTES, Expression, Read, reads, roots};
use crate::finding::{Finding, Rule};

/// Attributes that hold whatever a client or the moment gives (Envoy documentation, "Attributes").
const UNBOUNDED: &[&str] = &[
    "connection.id",
    "connection.requested_server_name",
    "request.duration",
    "request.host",
    "request.id",
    "request.path",
    "request.query",
    "request.referer",
    "request.size",
    "request.time",
    "request.total_size",
    "request.url_path",
    "request.useragent",
    "response.backend_latency",
    "response.size",
    "response.total_size",
    "source.address",
    "source.port",
    "upstream.local_address",
    "upstream.request_attempt_count",
];

/// Pseudo headers with few values.
const BOUNDED_HEADERS: &[&str] = &[":method", ":scheme", "grpc-encoding"];

/// Dimensions of a plugin configuration, and the Host header as a label.
pub fn check(plugin: &Plugin, accepted: &Accepted, scene: &Scene, findings: &mut Vec<Finding>) {
    let own: Vec<&str> = accepted.config.attributes.iter().map(|a| a.name.as_str()).collect();
    for entry in &accepted.config.metrics {
        for Dimension { path, label, value: text } in &entry.dimensions {
            let problems = problems(label, text, &own, scene.version.reads_filter_state());
            for problem in problems {
                let finding =
                    told(plugin, problem.rule, path.clone(), problem.message).fix(problem.fix);
                findings.push(match problem.rule {
                    Rule::BareAttribute => {
                        finding.why("neither this configuration derives it nor does Envoy have it")
                    }
                    _ => finding,
                });
            }
        }
    }
    if plugin.open && !accepted.config.disable_host_header_fallback {
        host_fallback(plugin, accepted, findings);
    }
}

/// What is wrong with the expression of a label.
#[derive(Debug)]
pub struct Problem {
    /// Which rule.
    pub rule: Rule,
    /// What was found.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

/// Problems of a label's expression; `own` are attributes that may be read by their bare names. `filter_state` tells
/// whether attributes of plugins are read from filter state (Istio 1.24) or by their bare names.
pub fn problems(label: &str, text: &str, own: &[&str], filter_state: bool) -> Vec<Problem> {
    let Some(expression) = Expression::parse(text) else { return Vec::new() };
    let mut problems = Vec::new();
    for read in reads(expression.tree()).into_iter().filter(is_unbounded) {
        let shown = shown(&read);
        problems.push(Problem {
            rule: Rule::Unbounded,
            message: format!("label \"{label}\" takes whatever value {shown} has"),
            fix: match shown.starts_with("request.path") || shown.starts_with("request.url_path") {
                true => {
                    "derive an attribute from path templates (`attributes[].operations`) and read that".to_owned()
                }
                false => format!("map it to few values: {shown} == 'x' ? 'x' : 'other'"),
            },
        });
    }
    for root in roots(expression.tree()) {
        if ATTRIBUTES.contains(&root.as_str()) || own.contains(&root.as_str()) {
            continue;
        }
        if filter_state {
            problems.push(Problem {
                rule: Rule::BareAttribute,
                message: format!(
                    "\"{root}\" is no attribute, so label \"{label}\" reads `unknown`"
                ),
                fix: bare_fix(&root, text, own),
            });
        }
    }
    problems
}

fn bare_fix(root: &str, text: &str, own: &[&str]) -> String {
    if let Some(near) = opmeter_core::diag::nearest(root, own.iter().copied()) {
        return format!("write {near}");
    }
    let state = format!("filter_state['wasm.{root}']");
    match text.trim() == root {
        true => format!(
            "write {state} for an attribute of a plugin, or '{root}' in quotes for the text"
        ),
        false => format!("write {state} for an attribute of a plugin"),
    }
}

fn is_unbounded(read: &Read) -> bool {
    match (read.path.as_str(), read.key.as_deref()) {
        ("request.headers", Some(name)) => !BOUNDED_HEADERS.contains(&name),
        ("request.headers", None) => true,
        (path, None) => UNBOUNDED.contains(&path),
        ("request", Some(key)) => UNBOUNDED.contains(&format!("request.{key}").as_str()),
        _ => false,
    }
}

fn shown(read: &Read) -> String {
    match &read.key {
        Some(key) => format!("{}['{key}']", read.path),
        None => read.path.clone(),
    }
}

fn host_fallback(plugin: &Plugin, accepted: &Accepted, findings: &mut Vec<Finding>) {
    let services = ["destination_service", "destination_service_name"];
    let of_requests = |occasion| matches!(occasion, Occasion::Request | Occasion::Messages);
    let mut families = accepted.plan.families();
    let carried = families.any(|family| {
        of_requests(family.occasion) && family.labels.iter().any(|label| services.contains(label))
    });
    if carried {
        let message = "the Host header of any client becomes the label destination_service";
        let finding = Finding::warning(Rule::HostFallback, &plugin.source, &plugin.anchor, message);
        findings.push(finding.fix("set \"disable_host_header_fallback\": true"));
    }
}

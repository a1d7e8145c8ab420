//! The documents people have: which kind each is, and what of opmeter's is inside.

mod plugin;
mod tags;

pub use plugin::{Home, Plugin, has_own_fields, plugin_inside, plugins};
pub use tags::{Scheme, StatsTag, TagSource, tag_sources};

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;

use crate::finding::{Finding, Rule};
use crate::text::{Node, Source, parse};

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// The file.
    pub source: Rc<Source>,
    /// Its content.
    pub node: Node,
    /// What it is.
    pub kind: DocumentKind,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A plugin configuration by itself.
    Configuration,
    /// An Envoy bootstrap.
    Bootstrap,
    /// `extensions.istio.io` WasmPlugin or TrafficExtension.
    WasmPlugin,
    /// `networking.istio.io` EnvoyFilter.
    EnvoyFilter,
    /// `telemetry.istio.io` Telemetry.
    Telemetry,
    /// `install.istio.io` IstioOperator.
    IstioOperator,
    /// Another Kubernetes resource; it may carry stats tags.
    Resource,
    /// Nothing known.
    Unknown,
}

/// Fields by which a plugin configuration is known.
const CONFIGURATION: &[&str] = &[
    "attributes",
    "definitions",
    "disableHostHeaderFallback",
    "disable_host_header_fallback",
    "limits",
    "metadataExchange",
    "metadata_exchange",
    "metrics",
    "reporter",
    "standardMetrics",
    "standard_metrics",
    "strict",
    "tcpReportingDuration",
    "tcp_reporting_duration",
    "telemetry",
];

const BOOTSTRAP: &[&str] = &[
    "admin",
    "cluster_manager",
    "dynamic_resources",
    "layered_runtime",
    "node",
    "staticResources",
    "static_resources",
    "stats_config",
    "stats_flush_interval",
    "stats_sinks",
];

// === impl Document ===

impl Document {
    fn new(source: &Rc<Source>, node: Node) -> Self {
        Self { source: Rc::clone(source), kind: kind(&node), node }
    }
}

/// Reads all documents of all files; what cannot be read is a finding.
///
/// # Errors
/// A file cannot be opened, or is not UTF-8.
pub fn load(files: &[PathBuf]) -> Result<(Vec<Document>, Vec<Finding>)> {
    let (mut documents, mut findings) = (Vec::new(), Vec::new());
    for file in files {
        let source = Rc::new(Source::read(file)?);
        match parse(&source.text) {
            Ok(nodes) => documents.extend(nodes.into_iter().flat_map(|node| split(&source, node))),
            Err(broken) => {
                let span = broken.at..broken.at + 1;
                let message = format!("neither YAML nor JSON: {}", broken.message);
                findings.push(Finding::error(Rule::Unreadable, &source, &span, message));
            }
        }
    }
    Ok((documents, findings))
}

/// A `List` is its items.
fn split(source: &Rc<Source>, node: Node) -> Vec<Document> {
    if node.text_at(&["kind"]) == Some("List") {
        let items = node.get("items").map(Node::items).unwrap_or_default();
        return items.iter().map(|item| Document::new(source, item.clone())).collect();
    }
    vec![Document::new(source, node)]
}

fn kind(node: &Node) -> DocumentKind {
    let group = node.text_at(&["apiVersion"]).and_then(|version| version.split('/').next());
    match (group, node.text_at(&["kind"])) {
        (Some("extensions.istio.io"), Some("WasmPlugin" | "TrafficExtension")) => {
            DocumentKind::WasmPlugin
        }
        (Some("networking.istio.io"), Some("EnvoyFilter")) => DocumentKind::EnvoyFilter,
        (Some("telemetry.istio.io"), Some("Telemetry")) => DocumentKind::Telemetry,
        (Some("install.istio.io"), Some("IstioOperator")) => DocumentKind::IstioOperator,
        (Some(_), Some(_)) => DocumentKind::Resource,
        _ if has_any(node, BOOTSTRAP) => DocumentKind::Bootstrap,
        _ if is_configuration(node) || is_empty(node) => DocumentKind::Configuration,
        _ => DocumentKind::Unknown,
    }
}

/// Whether a value looks like a plugin configuration of this module, or of those whose configurations it reads.
pub fn is_configuration(node: &Node) -> bool {
    has_any(node, CONFIGURATION)
}

fn has_any(node: &Node, names: &[&str]) -> bool {
    node.entries().iter().any(|entry| names.contains(&entry.key.as_str()))
}

/// `{}` is the default configuration.
fn is_empty(node: &Node) -> bool {
    node.is_map() && node.entries().is_empty()
}

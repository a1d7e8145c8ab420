//! The plugin configuration: JSON text -> `raw` (structure) -> `validate` (meaning) -> [`Config`].
//!
//! Sources: Istio's AttributeGen and stats `PluginConfig`; field names are accepted as written there (`tags_to_remove`)
//! and as protobuf JSON writes them (`tagsToRemove`).

mod fields;
mod limits;
mod raw;
mod telemetry;
mod validate;

pub use telemetry::Disabled;

use crate::diag::Diagnostic;
use crate::metric::standard;
use crate::operation::Template;
use crate::port::MetricKind;

/// What the operator means.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Derived attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Custom metrics, in order, each name once.
    pub definitions: Vec<Definition>,
    /// Changes to metrics, in order: those of `telemetry`, then those of `metrics`.
    pub metrics: Vec<Override>,
    /// Standard metrics that `telemetry` disables.
    pub disabled: Disabled,
    /// Whether `destination_service` stays unknown rather than taking the Host header.
    pub disable_host_header_fallback: bool,
    /// Whose point of view the labels take.
    pub reporter: ReporterMode,
    /// Whether Istio's standard metrics are emitted at all.
    pub standard_metrics: bool,
    /// Whether the configuration is refused when anything of it would be left out.
    pub strict: bool,
    /// How stat names are built.
    pub stat_names: StatNames,
    /// Metadata exchange by HTTP headers; `None` leaves headers alone.
    pub exchange: Option<MetadataExchange>,
    /// Milliseconds between reports of streams that last; 0 reports at their end only.
    pub reporting_interval: u32,
    /// What bounds series and labels.
    pub limits: Limits,
    /// What is defined before it is counted; `None` for nothing.
    pub prewarm: Option<Prewarm>,
}

/// Value of `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Label sets of all workers together.
    pub max_series: usize,
    /// Values of each dimension, of all workers together; `None` for any number.
    pub max_values: Option<usize>,
    /// Longest label value, in bytes.
    pub max_label_bytes: usize,
}

/// Value of `prewarm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prewarm {
    /// Status codes that are expected, each once.
    pub response_codes: Vec<i64>,
}

/// Value of `metadata_exchange`.
#[derive(Debug, PartialEq, Eq)]
pub struct MetadataExchange {
    /// Pod labels to send and to keep beside the standard ones.
    pub additional_labels: Vec<String>,
    /// Most peers kept decoded; 0 keeps none.
    pub max_peers: usize,
    /// Whether nothing is sent to services outside the mesh.
    pub skip_external: bool,
}

/// A derived attribute (AttributeGen).
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Name, without a `.`; published as filter state `wasm.NAME`.
    pub name: String,
    /// When it is evaluated.
    pub phase: Phase,
    /// The path that templates are looked up by.
    pub path: PathSource,
    /// The first entry whose condition is true gives the value.
    pub entries: Vec<Entry>,
    /// When no entry does, the operation whose template is the most specific.
    pub operations: Vec<Operation>,
    /// When none of these does either, the same among the operations of an OpenAPI document.
    pub described: Vec<Described>,
}

/// One entry of `operations`.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Method, as sent; `None` is any.
    pub method: Option<String>,
    /// Path template.
    pub template: Template,
    /// Value of the attribute.
    pub value: String,
}

/// An operation of an OpenAPI document; its name is the attribute's value.
pub type Described = crate::operation::Operation;

/// One entry of `match`.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// CEL condition; empty is always true.
    pub condition: String,
    /// Value of the attribute.
    pub value: String,
}

/// When an attribute is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// When the request headers arrive.
    OnRequest,
    /// When the stream is logged.
    AfterResponse,
}

/// Which path of a request is meant, where its route rewrites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSource {
    /// The one that the proxy received.
    Received,
    /// The one that the proxy sends to the upstream.
    Sent,
}

/// A custom metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// Name without the prefix.
    pub name: String,
    /// CEL expression of the value.
    pub value: String,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
}

/// One entry of `metrics`, or what one of `telemetry` comes down to.
#[derive(Debug, PartialEq, Eq)]
pub struct Override {
    /// JSON path.
    pub path: String,
    /// Which metrics it concerns.
    pub target: Target,
    /// Labels to set, sorted by name.
    pub dimensions: Vec<Dimension>,
    /// Labels to take away.
    pub tags_to_remove: Vec<String>,
    /// Whether the metric is not emitted.
    pub drop: bool,
    /// Which streams it applies to.
    pub when: When,
}

/// A label and its value.
#[derive(Debug, PartialEq, Eq)]
pub struct Dimension {
    /// JSON path of the expression.
    pub path: String,
    /// Name of the label.
    pub label: String,
    /// CEL expression.
    pub value: String,
}

/// Metrics that an override concerns.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// All, those of `definitions` as well.
    All,
    /// Istio's standard metrics.
    Standard,
    /// One, by its name without the prefix.
    Named(String),
}

/// Streams that an override applies to.
#[derive(Debug, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Those that are reported as their source: outbound, and through gateways (Telemetry API: mode `CLIENT`).
    Client,
    /// Those that are reported for their destination: inbound, and through waypoints (Telemetry API: mode `SERVER`).
    Server,
    /// Those for which a CEL condition holds.
    Holds(String),
}

/// Value of `reporter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReporterMode {
    /// By listener direction: inbound reports as destination, everything else as source.
    ByDirection,
    /// A waypoint (`SERVER_GATEWAY`).
    ServerGateway,
}

/// How stat names are built: `tag<value_separator>value<field_separator>...prefix_metric`.
#[derive(Debug, PartialEq, Eq)]
pub struct StatNames {
    /// Prefix of metric names, `istio`.
    pub prefix: String,
    /// Between fields, `;.;`.
    pub field_separator: String,
    /// Between label name and value, `=.=`.
    pub value_separator: String,
}

// === impl Target ===

impl Target {
    /// Whether it is about the metric of a name, without the prefix.
    pub fn concerns(&self, metric: &str) -> bool {
        match self {
            Target::All => true,
            Target::Standard => standard::is_standard(metric),
            Target::Named(name) => name == metric,
        }
    }
}

// === impl StatNames ===

impl Default for StatNames {
    fn default() -> Self {
        Self {
            prefix: "istio".to_owned(),
            field_separator: ";.;".to_owned(),
            value_separator: "=.=".to_owned(),
        }
    }
}

/// Reads a configuration; the second part of the result are the problems, and what they concern is left out of the first.
///
/// # Errors
/// Nothing in it can be read: it is not JSON, or no object.
pub fn parse(text: &[u8]) -> Result<(Config, Vec<Diagnostic>), Diagnostic> {
    let mut problems = Vec::new();
    let raw = raw::read(text, &mut problems)?;
    let config = validate::validate(raw, &mut problems);
    Ok((config, problems))
}

#[cfg(test)]
mod tests;

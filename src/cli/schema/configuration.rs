//! The plugin configuration as a schema. The module reads it by its own code (`opmeter_core::config`); a test keeps both
//! the same, field by field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// Configuration of the opmeter module: JSON in a bootstrap or EnvoyFilter, `pluginConfig` in a WasmPlugin.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "opmeter plugin configuration")]
#[expect(dead_code, reason = "a schema is made of it, no value")]
pub struct Configuration {
    /// Attributes to derive from each request, such as its operation.
    attributes: Option<Vec<Attribute>>,
    /// Custom metrics. They carry the labels that `metrics` gives them.
    definitions: Option<Vec<Definition>>,
    /// Changes to metrics and their labels, applied in order; the last one wins.
    metrics: Option<Vec<Override>>,
    /// What Telemetry resources say of metrics, merged as Istio does; applied before `metrics`.
    telemetry: Option<Telemetry>,
    /// Exchange of workload metadata by HTTP headers, as Istio's sidecars do. Absent: headers are left alone.
    metadata_exchange: Option<MetadataExchange>,
    /// `true`: the Host header is never taken for the destination service. Set it wherever anybody can send requests.
    disable_host_header_fallback: Option<bool>,
    /// Bounds of what the module adds to the proxy's memory.
    limits: Option<Limits>,
    /// Series of the operations that are defined at zero, so that their first increments count. Absent: none.
    prewarm: Option<Prewarm>,
    /// Whose point of view the labels take.
    reporter: Option<Reporter>,
    /// `false`: attributes and definitions only, beside Istio's native stats.
    standard_metrics: Option<bool>,
    /// `true`: refuse a configuration in which anything is wrong, instead of leaving that out. A proxy that starts with it then serves no requests.
    strict: Option<bool>,
    /// How often gRPC messages and TCP connections that last are reported; `0s`: at their end only.
    tcp_reporting_duration: Option<Duration>,
    /// Prefix of metric names, `istio`.
    stat_prefix: Option<String>,
    /// Between the fields of a stat name, `;.;`. The proxy's stats tags have to fit.
    field_separator: Option<String>,
    /// Between a label's name and value in a stat name, `=.=`. The proxy's stats tags have to fit.
    value_separator: Option<String>,
    /// Of older configurations: the default of `metadata_exchange.max_peers`.
    max_peer_cache_size: Option<Unsigned>,
    /// Of older configurations: without effect.
    debug: Option<Flag>,
    /// Of older configurations: without effect.
    rotation_interval: Option<Duration>,
    /// Of older configurations: without effect.
    graceful_deletion_interval: Option<Duration>,
}

/// A derived attribute (AttributeGen's schema and more). `match` is tried first, then `operations`, then `openapi`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Attribute {
    /// Name, without a `.`: published as filter state `wasm.NAME`.
    output_attribute: String,
    /// When it is evaluated.
    phase: Option<Phase>,
    /// The path that `operations` and `openapi` are looked up by, where the route rewrites it.
    path_source: Option<PathSource>,
    /// Conditions in order; the first that holds gives the value.
    r#match: Option<Vec<Entry>>,
    /// Path templates; the most specific one gives the value.
    operations: Option<Vec<Operation>>,
    /// An OpenAPI 3.0 or 3.1 document: `operationId` is the value.
    openapi: Option<Map<String, Value>>,
}

/// Which path of a request is meant. `match` reads `request.path` as Envoy has it in the attribute's phase.
#[derive(Debug, JsonSchema)]
#[expect(clippy::upper_case_acronyms, dead_code, reason = "the words of the format")]
enum PathSource {
    /// The path that the proxy received.
    RECEIVED,
    /// The path that the proxy sends to the upstream.
    SENT,
}

/// When an attribute is evaluated.
#[derive(Debug, JsonSchema)]
#[expect(non_camel_case_types, dead_code, reason = "the words of the format")]
enum Phase {
    /// At the end of the stream.
    PHASE_UNSPECIFIED,
    /// When the request headers arrive.
    ON_REQUEST,
    /// At the end of the stream.
    AFTER_RESPONSE,
}

/// A condition and the value it gives.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Entry {
    /// CEL over Envoy's attributes, a bool; empty always holds.
    condition: Option<String>,
    /// Value of the attribute.
    value: String,
}

/// A path template and the value it gives.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Operation {
    /// `/users/{id}`, `/files/{name}.json`, `/static/{*rest}`.
    #[schemars(regex(pattern = r"^/"))]
    path: String,
    /// HTTP method; absent: any.
    method: Option<String>,
    /// Value of the attribute; absent: `METHOD /template`.
    value: Option<String>,
}

/// A custom metric.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Definition {
    /// Name without the prefix: `get_calls` is shown as `istio_get_calls`.
    name: String,
    /// CEL expression of the number to record; a duration is recorded in milliseconds, a timestamp cannot be.
    value: String,
    /// Kind of metric.
    r#type: Option<MetricType>,
}

/// Kind of metric.
#[derive(Debug, JsonSchema)]
#[expect(clippy::upper_case_acronyms, dead_code, reason = "the words of the format")]
enum MetricType {
    /// Adds up.
    COUNTER,
    /// The last value.
    GAUGE,
    /// Values in buckets.
    HISTOGRAM,
}

/// A change to one metric or to all.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Override {
    /// Metric without its prefix, such as `requests_total`; absent: all.
    name: Option<String>,
    /// Labels and the CEL expressions of their values.
    dimensions: Option<BTreeMap<String, String>>,
    /// Labels to take away.
    tags_to_remove: Option<Vec<String>>,
    /// `true`: do not emit this standard metric.
    drop: Option<bool>,
    /// CEL condition: the entry applies to streams for which it holds.
    r#match: Option<String>,
}

/// Telemetry resources.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Telemetry {
    /// `spec.metrics` of the resources, those of the root namespace first.
    metrics: Option<Vec<TelemetryMetrics>>,
    /// The provider whose overrides count here, `prometheus`.
    provider: Option<String>,
}

/// An entry of `spec.metrics`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct TelemetryMetrics {
    /// Whom it concerns; absent: those of the entry before.
    providers: Option<Vec<ProviderRef>>,
    /// Applied in order; the last one wins, however general it is.
    overrides: Option<Vec<MetricsOverride>>,
    /// How often gRPC messages and TCP connections that last are reported.
    reporting_interval: Option<Duration>,
}

/// A provider of the mesh configuration.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct ProviderRef {
    /// Its name.
    name: Option<String>,
}

/// A change to one standard metric or to all of them.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct MetricsOverride {
    /// Absent: all standard metrics, on both sides.
    r#match: Option<MetricSelector>,
    /// `true`: do not record; with all metrics, until any later override.
    disabled: Option<Flag>,
    /// Labels to set and to take away.
    tag_overrides: Option<BTreeMap<String, TagOverride>>,
}

/// Metrics and the side they are recorded on.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct MetricSelector {
    /// A standard metric.
    metric: Option<IstioMetric>,
    /// A metric by its name without the prefix, custom ones as well.
    custom_metric: Option<String>,
    /// `CLIENT`: reported by the source; `SERVER`: at the destination, and by waypoints.
    mode: Option<WorkloadMode>,
}

/// A change to a label.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct TagOverride {
    /// `UPSERT`, the default, or `REMOVE`.
    operation: Option<TagOperation>,
    /// CEL expression of the value; none with `REMOVE`.
    value: Option<String>,
}

/// Exchange of workload metadata.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct MetadataExchange {
    /// Pod labels to send and to keep beside the standard ones.
    additional_labels: Option<Vec<String>>,
    /// Most peers kept decoded, 500; 0 keeps none.
    max_peers: Option<Unsigned>,
    /// `true`: nothing is sent to services outside the mesh.
    skip_external: Option<bool>,
}

/// Bounds of what the module adds to the proxy's memory.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Limits {
    /// Most label sets of all workers together, 500; more become `overflow`, totals stay exact.
    max_series: Option<Unsigned>,
    /// Most values of one custom dimension; more become `overflow`. Absent: `max_series` alone bounds them.
    max_values_per_dimension: Option<Unsigned>,
    /// Longest label value, 256 bytes; a longer one is cut and ends in a hash.
    max_label_bytes: Option<Unsigned>,
}

/// Series that are defined at zero.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Prewarm {
    /// Status codes, 200 alone when absent.
    response_codes: Option<Vec<Unsigned>>,
}

/// Whose point of view the labels take.
#[derive(Debug, JsonSchema)]
#[expect(
    non_camel_case_types,
    clippy::upper_case_acronyms,
    dead_code,
    reason = "the words of the format"
)]
enum Reporter {
    /// By the listener's direction.
    UNSPECIFIED,
    /// A waypoint.
    SERVER_GATEWAY,
}

/// Standard metrics.
#[derive(Debug, JsonSchema)]
#[expect(non_camel_case_types, dead_code, reason = "the words of the format")]
enum IstioMetric {
    ALL_METRICS,
    REQUEST_COUNT,
    REQUEST_DURATION,
    REQUEST_SIZE,
    RESPONSE_SIZE,
    TCP_OPENED_CONNECTIONS,
    TCP_CLOSED_CONNECTIONS,
    TCP_SENT_BYTES,
    TCP_RECEIVED_BYTES,
    GRPC_REQUEST_MESSAGES,
    GRPC_RESPONSE_MESSAGES,
}

/// Sides.
#[derive(Debug, JsonSchema)]
#[expect(
    non_camel_case_types,
    clippy::upper_case_acronyms,
    dead_code,
    reason = "the words of the format"
)]
enum WorkloadMode {
    CLIENT_AND_SERVER,
    CLIENT,
    SERVER,
}

/// What becomes of a label.
#[derive(Debug, JsonSchema)]
#[expect(clippy::upper_case_acronyms, dead_code, reason = "the words of the format")]
enum TagOperation {
    UPSERT,
    REMOVE,
}

/// Seconds such as `5s` or `0.5s`.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
struct Duration(#[schemars(regex(pattern = r"^[0-9]{1,12}(\.[0-9]{1,9})?s$"))] String);

// A whole number, as a number or as text. No description: an editor would show it instead of the field's own.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
enum Unsigned {
    Number(u64),
    Text(#[schemars(regex(pattern = r"^[0-9]+$"))] String),
}

// `true` or `false`, also as text.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "a schema is made of it, no value")]
enum Flag {
    Flag(bool),
    Text(#[schemars(regex(pattern = r"^(true|false)$"))] String),
}

//! Where the value of a label comes from.

use opmeter_core::config::{Config, When};
use opmeter_core::metric::standard::HTTP_LABELS;

use super::Side;
use super::attribute::class;

/// The source of a label, for a person.
pub fn source(label: &str, metric: &str, config: &Config, side: Side) -> String {
    let short = metric.split_once('_').map_or(metric, |(_, name)| name);
    let other = if side == Side::Inbound { When::Client } else { When::Server };
    let mut entries = config.metrics.iter().rev();
    let found = entries.find_map(|entry| {
        let applies = entry.target.concerns(short) && entry.when != other;
        let dimension = entry.dimensions.iter().find(|dimension| dimension.label == label);
        dimension.filter(|_| applies)
    });
    if let Some(dimension) = found {
        let class = class(&dimension.path, config);
        let path = dimension.path.strip_suffix(&format!(".{label}")).unwrap_or(&dimension.path);
        return format!("{path}: {} ({class})", dimension.value);
    }
    if HTTP_LABELS.iter().any(|standard| standard.name() == label) {
        return standard(label, side).to_owned();
    }
    String::new()
}

/// Istio's rules for the standard labels (Istio stats: label sources).
fn standard(label: &str, side: Side) -> &'static str {
    let inbound = side == Side::Inbound;
    match label {
        "reporter" => "direction of the listener",
        "request_protocol" => "content-type: grpc for application/grpc, else http",
        "response_code" => "response.code; 0 without an answer",
        "grpc_response_status" => "response.grpc_status of gRPC requests",
        "response_flags" => "response.flags",
        "connection_security_policy" if inbound => "mutual_tls when both certificates are there",
        "connection_security_policy" => "unknown to the client's side",
        "destination_service" | "destination_service_name" => {
            "the cluster's Istio service, else the Host header, unless disable_host_header_fallback"
        }
        "destination_service_namespace" if inbound => "own node",
        "destination_service_namespace" => "the cluster's Istio service, else the peer",
        "source_principal" | "destination_principal" => "certificate",
        _ if label.starts_with("source_") == inbound => "peer",
        _ => "own node",
    }
}

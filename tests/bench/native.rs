//! Envoy's own way to the same series: its stats access logger (Envoy API, `access_loggers.stats.v3.Config`).

use opmeter_core::metric::standard::HTTP_LABELS;
use serde_json::{Value, json};

/// The logger with Istio's 25 labels and the four metrics of requests.
///
/// What Envoy cannot tell costs it the least that still has the label: constants for what is known of the own workload,
/// one filter state for each property of the peer.
pub fn access_logger() -> Value {
    let histogram = |name: &str, unit: &str, value: &str| json!({ "stat": stat(name), "unit": unit, "value_format": value });
    json!({
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "native",
            "counters": [{ "stat": stat("requests_total"), "value_fixed": 1 }],
            "histograms": [
                histogram("request_duration_milliseconds", "Milliseconds", "%DURATION%"),
                histogram("request_bytes", "Bytes", "%BYTES_RECEIVED%"),
                histogram("response_bytes", "Bytes", "%BYTES_SENT%"),
            ],
        },
    })
}

fn stat(name: &str) -> Value {
    let tags = HTTP_LABELS.iter().map(|label| {
        let name = label.name();
        json!({ "name": name, "value_format": format(name) })
    });
    json!({ "name": name, "tags": tags.collect::<Vec<Value>>() })
}

fn format(label: &str) -> String {
    let peer = |field: &str| format!("%FILTER_STATE(downstream_peer_obj:FIELD:{field})%");
    match label {
        "reporter" => "destination".into(),
        "source_workload" => peer("workload"),
        "source_canonical_service" => peer("service"),
        "source_canonical_revision" => peer("revision"),
        "source_workload_namespace" => peer("namespace"),
        "source_app" => peer("app"),
        "source_version" => peer("version"),
        "source_cluster" => peer("cluster"),
        "source_principal" => "%DOWNSTREAM_PEER_URI_SAN%".into(),
        "destination_principal" => "%DOWNSTREAM_LOCAL_URI_SAN%".into(),
        "destination_service" | "destination_service_name" => "%REQ(:AUTHORITY)%".into(),
        "request_protocol" => "%PROTOCOL%".into(),
        "response_code" => "%RESPONSE_CODE%".into(),
        "grpc_response_status" => "%GRPC_STATUS_NUMBER%".into(),
        "response_flags" => "%RESPONSE_FLAGS%".into(),
        "connection_security_policy" => "%DOWNSTREAM_TLS_VERSION%".into(),
        "destination_workload_namespace" | "destination_service_namespace" => "default".into(),
        "destination_cluster" => "cluster1".into(),
        "destination_version" | "destination_canonical_revision" => "v1".into(),
        _ => "ratings".into(),
    }
}

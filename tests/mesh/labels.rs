//! What the standard labels have to say of a call from productpage to ratings.

use std::collections::BTreeMap;

/// Labels of one series.
pub type Labels = BTreeMap<String, String>;

/// Of the metrics about gRPC messages.
const PEERS: [(&str, &str); 19] = [
    ("source_workload", "productpage-v1"),
    ("source_canonical_service", "productpage-service"),
    ("source_canonical_revision", "r1"),
    ("source_workload_namespace", "default"),
    ("source_principal", "unknown"),
    ("source_app", "productpage"),
    ("source_version", "v1"),
    ("source_cluster", "client-cluster"),
    ("destination_workload", "ratings-v1"),
    ("destination_workload_namespace", "shop"),
    ("destination_principal", "unknown"),
    ("destination_app", "ratings"),
    ("destination_version", "v2"),
    ("destination_service", "ratings.shop.svc.cluster.local"),
    ("destination_canonical_service", "ratings-service"),
    ("destination_canonical_revision", "r2"),
    ("destination_service_name", "ratings"),
    ("destination_service_namespace", "shop"),
    ("destination_cluster", "server-cluster"),
];

/// The 20 labels about who talks to whom, over plain text.
pub fn peers(reporter: &str) -> Labels {
    with(&Labels::new(), &[&PEERS[..], &[("reporter", reporter)]].concat())
}

/// All 25 labels of a request over plain text that was answered 200.
pub fn request(reporter: &str) -> Labels {
    let policy = if reporter == "source" { "unknown" } else { "none" };
    let rest = [
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
        ("response_flags", "-"),
        ("connection_security_policy", policy),
    ];
    with(&peers(reporter), &rest)
}

/// `labels` with some changed.
pub fn with(labels: &Labels, changes: &[(&str, &str)]) -> Labels {
    let mut labels = labels.clone();
    labels.extend(changes.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    labels
}

/// `labels` with all about the source as of a client that did not tell.
pub fn without_source(labels: &Labels) -> Labels {
    let unknown = [
        ("source_workload", "unknown"),
        ("source_canonical_service", "unknown"),
        ("source_canonical_revision", "latest"),
        ("source_workload_namespace", "unknown"),
        ("source_app", "unknown"),
        ("source_version", "unknown"),
        ("source_cluster", "unknown"),
    ];
    with(labels, &unknown)
}

/// `labels` with all about the destination as of a server that did not tell, but for its service.
pub fn without_destination(labels: &Labels) -> Labels {
    let unknown = [
        ("destination_workload", "unknown"),
        ("destination_canonical_service", "unknown"),
        ("destination_canonical_revision", "latest"),
        ("destination_workload_namespace", "unknown"),
        ("destination_app", "unknown"),
        ("destination_version", "unknown"),
        ("destination_cluster", "unknown"),
    ];
    with(labels, &unknown)
}

//! An EnvoyFilter resource.

use serde_json::{Value, json};

use super::project::Loaded;
use super::wasm::{Mount, mounted};
use crate::schema::{Side, Stats};

const MANAGER: &str = "envoy.filters.network.http_connection_manager";
const TCP_PROXY: &str = "envoy.filters.network.tcp_proxy";

/// One resource with a patch per side and mount.
pub fn envoy_filter(loaded: &Loaded) -> Value {
    let project = &loaded.project;
    let mut patches = Vec::new();
    for side in loaded.sides() {
        patches.push(match project.place.access_log {
            true => logger(loaded, side, MANAGER),
            false => filter(loaded, side),
        });
        if project.place.tcp && project.stats == Stats::Replace {
            patches.push(match project.place.access_log {
                true => logger(loaded, side, TCP_PROXY),
                false => network_filter(loaded, side),
            });
        }
    }
    let mut spec = json!({"configPatches": patches});
    if let Some(labels) = loaded.selector() {
        spec["workloadSelector"] = json!({"labels": labels});
    }
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": project.name, "namespace": project.namespace},
        "spec": spec,
    })
}

fn context(side: Side) -> &'static str {
    match side {
        Side::Inbound => "SIDECAR_INBOUND",
        Side::Outbound => "SIDECAR_OUTBOUND",
        Side::Gateway => "GATEWAY",
        Side::Both => "ANY",
    }
}

/// Before the router; before Istio's own stats where these are to read the attributes, because logs are written in the order
/// of the filters.
fn filter(loaded: &Loaded, side: Side) -> Value {
    let before = match loaded.project.stats {
        Stats::Beside => "istio.stats",
        Stats::Replace | Stats::Own => "envoy.filters.http.router",
    };
    json!({
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": context(side),
            "listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": before}}}},
        },
        "patch": {"operation": "INSERT_BEFORE", "value": mounted(loaded, side, Mount::Http)},
    })
}

fn network_filter(loaded: &Loaded, side: Side) -> Value {
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": context(side),
            "listener": {"filterChain": {"filter": {"name": TCP_PROXY}}},
        },
        "patch": {"operation": "INSERT_BEFORE", "value": mounted(loaded, side, Mount::Network)},
    })
}

/// Merging adds to the list of loggers.
fn logger(loaded: &Loaded, side: Side, of: &str) -> Value {
    let kind = match of {
        TCP_PROXY => "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        _ => "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    };
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": context(side),
            "listener": {"filterChain": {"filter": {"name": of}}},
        },
        "patch": {
            "operation": "MERGE",
            "value": {
                "name": of,
                "typed_config": {
                    "@type": format!("type.googleapis.com/{kind}"),
                    "access_log": [mounted(loaded, side, Mount::AccessLog)],
                },
            },
        },
    })
}

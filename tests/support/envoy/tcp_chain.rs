//! The filter chain of a case about TCP connections.

use super::bootstrap::{TYPES, socket, wasm};
use crate::case::Case;
use serde_json::{Value, json};
use std::path::Path;

/// The listener: the module as a network filter before the TCP proxy.
pub(super) fn listener(case: &Case, direction: &str, module: &Path) -> Value {
    let mut filters: Vec<Value> = super::filter_state::network_filter(case).into_iter().collect();
    filters.push(json!({
        "name": "opmeter",
        "typed_config": wasm("network", case, module),
    }));
    filters.push(json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": format!("{TYPES}.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "traffic",
            "cluster": case.cluster.name,
        },
    }));
    json!({
        "name": "traffic",
        "traffic_direction": direction,
        "address": socket(0),
        "filter_chains": [{ "filters": filters }],
    })
}

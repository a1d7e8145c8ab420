//! The filter chain of a case about TCP connections.

use super::bootstrap::{TYPES, access_logger, log_to, socket, wasm_filter};
use crate::case::Case;
use crate::engine::Mount;
use serde_json::{Value, json};
use std::path::Path;

/// The listener: the module as a network filter before the TCP proxy, or as its access logger.
pub(super) fn listener(case: &Case, mount: Mount, direction: &str, module: &Path) -> Value {
    let mut filters: Vec<Value> = super::filter_state::network_filter(case).into_iter().collect();
    if mount == Mount::Filter {
        filters.push(json!({
            "name": "opmeter",
            "typed_config": wasm_filter("network", &case.config, module),
        }));
    }
    filters.push(json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": format!("{TYPES}.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "traffic",
            "cluster": case.cluster.name,
        },
    }));
    let mut listener = json!({
        "name": "traffic",
        "traffic_direction": direction,
        "address": socket(0),
        "filter_chains": [{ "filters": filters }],
    });
    if mount == Mount::AccessLogger {
        log_to(&mut listener, &access_logger(&case.config, module), &json!({}));
    }
    listener
}

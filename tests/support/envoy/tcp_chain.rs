//! The filter chain of a case about TCP connections.

use super::bootstrap::{TYPES, access_logger, log_to, socket, wasm_filter};
use crate::case::Case;
use crate::engine::Mount;
use serde_json::{Value, json};
use std::path::Path;

/// The listener: the module as a network filter before the TCP proxy, or as its access logger.
pub(super) fn listener(case: &Case, mount: Mount, direction: &str, module: &Path) -> Value {
    let mut listener = listener_to(&case.cluster.name, "traffic", case, mount, direction, module);
    let filters = listener["filter_chains"][0]["filters"].as_array_mut();
    if let Some((filters, first)) = filters.zip(super::filter_state::network_filter(case)) {
        filters.insert(0, first);
    }
    listener
}

/// The same before another cluster, without what the case takes for granted.
pub(super) fn listener_to(
    cluster: &str,
    name: &str,
    case: &Case,
    mount: Mount,
    direction: &str,
    module: &Path,
) -> Value {
    let mut filters = Vec::new();
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
            "stat_prefix": name,
            "cluster": cluster,
        },
    }));
    let mut listener = json!({
        "name": name,
        "traffic_direction": direction,
        "address": socket(0),
        "filter_chains": [{ "filters": filters }],
    });
    if mount == Mount::AccessLogger {
        log_to(&mut listener, &access_logger(&case.config, module), &json!({}));
    }
    listener
}

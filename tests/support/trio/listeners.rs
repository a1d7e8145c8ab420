//! The listeners of the proxies.

use super::Mounts;
use super::filters;
use super::host::merge;
use crate::engine::Mount;
use crate::envoy::bootstrap::{TYPES, access_logger, wasm_filter};
use serde_json::{Value, json};
use std::path::Path;

/// The module's configuration for HTTP. A dimension reads a header that no request has: what is absent is no error.
const CONFIG: &str = r#"{
    "metadata_exchange": {},
    "attributes": [{ "output_attribute": "operation", "operations": [
        { "path": "/items/{id}", "value": "get_item" },
        { "path": "/ratings.Ratings/{call}", "value": "call" }] }],
    "metrics": [{ "dimensions": { "operation": "operation", "tenant": "request.headers['x-tenant']" } }]
}"#;

/// Labels of the configuration beyond the standard ones.
pub(super) const DIMENSIONS: [&str; 2] = ["operation", "tenant"];

/// Makes listeners that differ in the module only.
pub(super) struct Maker<'a> {
    /// How the module is mounted.
    pub mounts: Mounts,
    /// The module.
    pub module: &'a Path,
}

/// Which way a listener looks.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Out,
    In,
}

// === impl Maker ===

impl Maker<'_> {
    /// For HTTP, with fields of the connection manager.
    pub fn http(
        &self,
        name: &str,
        direction: Direction,
        address: &Value,
        hosts: &[Value],
        patch: &Value,
    ) -> Value {
        let mut manager = json!({
            "@type": format!("{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": name,
            "codec_type": "AUTO",
            "http_protocol_options": { "accept_http_10": true, "enable_trailers": true },
            "http2_protocol_options": { "allow_connect": true },
            "proxy_100_continue": true,
            "delayed_close_timeout": "0.200s",
            "route_config": { "name": name, "validate_clusters": false, "virtual_hosts": hosts },
            "http_filters": filters::chain(self.mounts, CONFIG, self.module),
            "access_log": self.loggers(name, direction, "http", CONFIG),
        });
        merge(&mut manager, patch);
        let filter = json!({
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        });
        listener(name, direction, address, &json!([filter]))
    }

    /// For TCP, with fields of the TCP proxy and filters that come before the module.
    pub fn tcp(
        &self,
        name: &str,
        direction: Direction,
        address: &Value,
        patch: &Value,
        before: Option<Value>,
    ) -> Value {
        let mut proxy = json!({
            "@type": format!("{TYPES}.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": name,
            "access_log": self.loggers(name, direction, "tcp", "{}"),
        });
        merge(&mut proxy, patch);
        let mut filters: Vec<Value> = before.into_iter().collect();
        if self.mounts.contains(&Mount::Filter) {
            let opmeter = wasm_filter("network", "{}", self.module);
            filters.push(json!({ "name": "opmeter", "typed_config": opmeter }));
        }
        filters.push(json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy }));
        listener(name, direction, address, &json!(filters))
    }

    fn loggers(&self, name: &str, direction: Direction, layer: &str, config: &str) -> Value {
        let format = json!({
            "listener": name,
            "layer": layer,
            "reporter": direction.reporter(),
            "code": "%RESPONSE_CODE%",
            "flags": "%RESPONSE_FLAGS%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "content_type": "%REQ(CONTENT-TYPE)%",
            "grpc_status": "%GRPC_STATUS_NUMBER%",
            "host": "%REQ(:AUTHORITY)%",
            "path": "%REQ(:PATH)%",
            "received": "%BYTES_RECEIVED%",
            "sent": "%BYTES_SENT%",
            "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        });
        let stream = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3";
        let log = json!({
            "name": "log",
            "typed_config": {
                "@type": format!("{stream}.StdoutAccessLog"),
                "log_format": { "json_format": format },
            },
        });
        let mut loggers = vec![log];
        if self.mounts.contains(&Mount::AccessLogger) {
            // First, so that what is in the log is counted.
            loggers.insert(0, access_logger(config, self.module));
        }
        loggers.into()
    }
}

// === impl Direction ===

impl Direction {
    fn reporter(self) -> &'static str {
        match self {
            Self::Out => "source",
            Self::In => "destination",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Out => "OUTBOUND",
            Self::In => "INBOUND",
        }
    }
}

fn listener(name: &str, direction: Direction, address: &Value, filters: &Value) -> Value {
    json!({
        "name": name,
        "traffic_direction": direction.name(),
        "address": address,
        "filter_chains": [{ "filters": filters }],
    })
}

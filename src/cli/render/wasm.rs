//! The module as Envoy's own configuration mounts it (envoy.extensions.wasm.v3).

use serde_json::{Value, json};

use super::plugin::configuration;
use super::project::Loaded;
use crate::schema::Side;

/// Where in the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A filter of requests.
    Http,
    /// A filter of connections.
    Network,
    /// A logger of requests or connections.
    AccessLog,
}

/// The filter or logger of a side.
pub fn mounted(loaded: &Loaded, side: Side, mount: Mount) -> Value {
    let kind = match mount {
        Mount::Http => "envoy.extensions.filters.http.wasm.v3.Wasm",
        Mount::Network => "envoy.extensions.filters.network.wasm.v3.Wasm",
        Mount::AccessLog => "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
    };
    let name = &loaded.project.name;
    json!({
        "name": name,
        "typed_config": {
            "@type": format!("type.googleapis.com/{kind}"),
            "config": {
                "name": name,
                "root_id": "opmeter",
                "failure_policy": "FAIL_OPEN",
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": loaded.project.module.file}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": pretty(&configuration(loaded, side)),
                },
            },
        },
    })
}

/// Over several lines, which YAML shows as a block.
fn pretty(config: &Value) -> String {
    let mut text = serde_json::to_string_pretty(config).unwrap_or_default();
    text.push('\n');
    text
}

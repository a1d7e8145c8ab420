//! Bootstraps: one listener that answers everything itself, or hands it to the next proxy.

use crate::load::BODY;
use crate::mount::{Mount, Place, Tags, What};
use crate::native;
use opmeter_core::metric::standard::HTTP_LABELS;
use serde_json::{Value, json};
use std::path::Path;

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";

/// Builds the bootstrap of one proxy; `next` is the port of the proxy behind it.
pub fn build(mount: &Mount, port: u16, admin: &Path, next: Option<u16>) -> Value {
    let clusters: Vec<Value> = next.into_iter().map(cluster).collect();
    proxy(mount.tags, vec![listener(mount, port, next, "")], clusters, admin, next.is_some())
}

/// Builds the bootstrap of one proxy with a listener, and a VM of its own, for each mount.
pub fn side_by_side(mounts: &[Mount], ports: &[u16], admin: &Path) -> Value {
    let listener = |(mount, port): (&Mount, &u16)| listener(mount, *port, None, &port.to_string());
    let listeners = mounts.iter().zip(ports).map(listener).collect();
    let tags = mounts.first().map_or(Tags::Nothing, |mount| mount.tags);
    proxy(tags, listeners, Vec::new(), admin, false)
}

fn proxy(
    tags: Tags,
    listeners: Vec<Value>,
    clusters: Vec<Value>,
    admin: &Path,
    is_client: bool,
) -> Value {
    json!({
        "node": node(if is_client { "reviews" } else { "ratings" }),
        "admin": { "address": { "pipe": { "path": admin } } },
        // Envoy merges histograms whenever it flushes: its own work, the same for whoever defined them.
        "stats_flush_on_admin": true,
        "stats_config": { "use_all_default_tags": false, "stats_tags": stats_tags(tags) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

fn listener(mount: &Mount, port: u16, next: Option<u16>, vm: &str) -> Value {
    let filters = filter(mount, vm).into_iter().chain([router()]);
    let mut route = json!({ "name": "default", "match": { "prefix": "/" } });
    if next.is_some() {
        route["route"] = json!({ "cluster": "next", "timeout": "0s" });
    } else {
        let body = json!({ "inline_string": BODY });
        route["direct_response"] = json!({ "status": 200, "body": body });
    }
    let manager = json!({
        "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "access_log": access_log(mount, vm).into_iter().collect::<Vec<_>>(),
        "route_config": {
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }],
        },
        "http_filters": filters.collect::<Vec<_>>(),
    });
    json!({
        "name": format!("bench{vm}"),
        "traffic_direction": if next.is_some() { "OUTBOUND" } else { "INBOUND" },
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [{ "name": "manager", "typed_config": manager }] }],
    })
}

fn filter(mount: &Mount, vm: &str) -> Option<Value> {
    match (&mount.what, mount.place) {
        (What::Wasm { file, config, .. }, Place::Filter) => {
            let layer = format!("{FILTERS}.http.wasm.v3.Wasm");
            Some(json!({ "name": "wasm", "typed_config": wasm(&layer, file, config, vm) }))
        }
        _ => None,
    }
}

fn access_log(mount: &Mount, vm: &str) -> Option<Value> {
    match (&mount.what, mount.place) {
        (What::Wasm { file, config, .. }, Place::Logger) => {
            let layer = "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog";
            let config = wasm(layer, file, config, vm);
            Some(json!({ "name": "envoy.access_loggers.wasm", "typed_config": config }))
        }
        (What::Native, _) => Some(native::access_logger()),
        _ => None,
    }
}

fn wasm(layer: &str, file: &Path, config: &str, vm: &str) -> Value {
    json!({
        "@type": layer,
        "config": {
            "name": "opmeter", "root_id": "opmeter",
            "vm_config": {
                "vm_id": vm,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": file } },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": config,
            },
        },
    })
}

fn router() -> Value {
    let config = json!({ "@type": format!("{FILTERS}.http.router.v3.Router") });
    json!({ "name": "router", "typed_config": config })
}

fn cluster(port: u16) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    json!({
        "name": "next",
        "load_assignment": {
            "cluster_name": "next",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
        "metadata": { "filter_metadata": { "istio": { "services": [{
            "host": "ratings.default.svc.cluster.local", "name": "ratings", "namespace": "default",
        }] } } },
    })
}

fn node(app: &str) -> Value {
    json!({
        "id": format!("sidecar~10.0.0.1~{app}-v1-7c9.default~default.svc.cluster.local"),
        "cluster": format!("{app}.default"),
        "metadata": {
            "NAME": format!("{app}-v1-7c9"), "NAMESPACE": "default",
            "WORKLOAD_NAME": format!("{app}-v1"), "CLUSTER_ID": "cluster1", "MESH_ID": "mesh1",
            "OWNER": format!("kubernetes://apis/apps/v1/namespaces/default/deployments/{app}-v1"),
            "LABELS": {
                "app": app, "version": "v1",
                "service.istio.io/canonical-name": app,
                "service.istio.io/canonical-revision": "v1",
            },
        },
    })
}

/// What takes labels out of stat names.
fn stats_tags(tags: Tags) -> Value {
    let names = HTTP_LABELS.iter().map(|label| label.name()).chain(["request_operation"]);
    let regex = |name: &str| match tags {
        Tags::Nothing => None,
        Tags::Anchored => Some(format!(r"(?:^wasmcustom\.|;\.;)({name}=\.=(.*?);\.;)")),
        Tags::Prefixed => Some(format!(r"^wasmcustom\.(?:.*?;\.;)?({name}=\.=(.*?);\.;)")),
        Tags::Istio => Some(format!(r"({name}=\.=(.*?);\.;)")),
    };
    let tag = |name: &str| Some(json!({ "tag_name": name, "regex": regex(name)? }));
    names.filter_map(tag).collect()
}

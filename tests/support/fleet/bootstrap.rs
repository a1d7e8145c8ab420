//! The bootstrap of a fleet, and the files that it reads updates from.

use super::{BARE_HTTP, BARE_TCP, Fleet, Layer, Mounted, Way};
use crate::envoy::bootstrap::{
    TYPES, access_logger, listener, log_to, metrics_listener, pipe, router, socket, static_cluster,
    stats_tags, wasm_filter,
};
use crate::module;
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

/// Name of the file with the listeners.
const LISTENERS: &str = "listeners.json";

/// Builds the bootstrap; the admin's socket lies in `folder`.
pub(super) fn build(fleet: &Fleet, folder: &Path) -> Value {
    let admin = pipe(&folder.join("admin"));
    let mut listeners = vec![metrics_listener(), http(BARE_HTTP, None), tcp(BARE_TCP, None)];
    let mut clusters = vec![static_cluster("admin", &admin)];
    clusters.extend([cluster(BARE_HTTP, fleet.http), cluster(BARE_TCP, fleet.tcp)]);
    clusters.extend(fleet.mounts.iter().map(|mount| {
        cluster(&mount.name, if mount.layer.is_http() { fleet.http } else { fleet.tcp })
    }));
    let mut dynamic = json!({});
    if fleet.way == Way::Listeners {
        dynamic = json!({ "lds_config": source(&folder.join(LISTENERS)) });
    } else {
        listeners.extend(fleet.mounts.iter().map(|mount| with_module(fleet, mount, folder)));
    }
    json!({
        "dynamic_resources": dynamic,
        "node": { "id": "test", "cluster": "test", "metadata": {
            "NAME": "ratings-0", "NAMESPACE": "shop", "WORKLOAD_NAME": "ratings-v1",
            "LABELS": { "app": "ratings", "version": "v2" },
        } },
        "admin": { "address": admin },
        "stats_flush_interval": "0.050s",
        "stats_config": {
            "use_all_default_tags": false, "stats_tags": stats_tags(fleet.dimensions.clone()),
        },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// Writes the files that Envoy reads updates from. Each is replaced at once: Envoy looks for moves.
///
/// # Errors
/// When one cannot be written.
pub(super) fn write_updates(fleet: &Fleet, folder: &Path) -> Result<()> {
    let write = |name: &str, resources: &[Value]| -> Result<()> {
        let new = folder.join("new.json");
        std::fs::write(&new, json!({ "resources": resources }).to_string())?;
        Ok(std::fs::rename(new, folder.join(name))?)
    };
    match fleet.way {
        Way::Static => Ok(()),
        Way::Listeners => {
            let listeners = fleet.mounts.iter().map(|mount| {
                let mut listener = with_module(fleet, mount, folder);
                listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
                listener
            });
            write(LISTENERS, &listeners.collect::<Vec<_>>())
        }
        Way::Filters => {
            fleet.mounts.iter().filter(|mount| mount.layer.is_filter()).try_for_each(|mount| {
                let resource = json!({
                    "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                    "name": mount.name,
                    "typed_config": filter(fleet, mount),
                });
                write(&file_of(mount), &[resource])
            })
        }
    }
}

fn file_of(mount: &Mounted) -> String {
    format!("{}.json", mount.name)
}

fn source(path: &Path) -> Value {
    json!({ "path_config_source": { "path": path }, "resource_api_version": "V3" })
}

/// A listener with the module in it.
fn with_module(fleet: &Fleet, mount: &Mounted, folder: &Path) -> Value {
    let name = mount.name.as_str();
    if !mount.layer.is_filter() {
        let mut listener = if mount.layer.is_http() { http(name, None) } else { tcp(name, None) };
        let mut logger = access_logger("", module::path());
        plugin(fleet, mount, &mut logger["typed_config"]["config"]);
        log_to(&mut listener, &logger, &json!({}));
        return listener;
    }
    let mut opmeter = json!({ "name": name });
    if fleet.way == Way::Filters {
        let kind = format!("{TYPES}.{}.wasm.v3.Wasm", layer(mount));
        let source = source(&folder.join(file_of(mount)));
        opmeter["config_discovery"] = json!({ "config_source": source, "type_urls": [kind] });
    } else {
        opmeter["typed_config"] = filter(fleet, mount);
    }
    if mount.layer.is_http() { http(name, Some(opmeter)) } else { tcp(name, Some(opmeter)) }
}

fn layer(mount: &Mounted) -> &'static str {
    if mount.layer == Layer::HttpFilter { "http" } else { "network" }
}

fn filter(fleet: &Fleet, mount: &Mounted) -> Value {
    let mut filter = wasm_filter(layer(mount), "", module::path());
    plugin(fleet, mount, &mut filter["config"]);
    filter
}

/// Gives a plugin what is its own. Envoy hands over the bytes of either message as they are.
fn plugin(fleet: &Fleet, mount: &Mounted, plugin: &mut Value) {
    for name in ["name", "root_id"] {
        plugin[name] = mount.name.as_str().into();
    }
    plugin["failure_policy"] = fleet.failure_policy.into();
    plugin["configuration"] = match std::str::from_utf8(&mount.config) {
        Ok(text) => json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text,
        }),
        Err(_) => json!({
            "@type": "type.googleapis.com/google.protobuf.BytesValue",
            "value": STANDARD.encode(&mount.config),
        }),
    };
}

fn http(name: &str, opmeter: Option<Value>) -> Value {
    let routes = json!([{
        "match": { "prefix": "/" },
        "route": { "cluster": name, "timeout": "0s" },
    }]);
    let filters: Vec<Value> = opmeter.into_iter().chain([router()]).collect();
    listener(name, "INBOUND", &routes, &json!(filters))
}

fn tcp(name: &str, opmeter: Option<Value>) -> Value {
    let proxy = json!({
        "@type": format!("{TYPES}.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": name,
        "cluster": name,
    });
    let proxy = json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy });
    let filters: Vec<Value> = opmeter.into_iter().chain([proxy]).collect();
    json!({
        "name": name,
        "traffic_direction": "INBOUND",
        "address": socket(0),
        "filter_chains": [{ "filters": filters }],
    })
}

/// The application, as the service `name`.
fn cluster(name: &str, port: u16) -> Value {
    let mut cluster = static_cluster(name, &socket(port));
    let service = json!({ "host": name, "name": name, "namespace": "shop" });
    cluster["metadata"] = json!({ "filter_metadata": { "istio": { "services": [service] } } });
    cluster
}

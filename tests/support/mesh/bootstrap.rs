//! The bootstrap of a sidecar.

use super::{Accepts, Beside, Certificates, Log, Sidecar, TCP_LISTENER, Updates};
use crate::case::Side;
use crate::envoy::bootstrap::{
    TYPES, access_logger, listener, log_to, metrics_listener, pipe, router, socket, static_cluster,
    stats_tags, wasm_filter,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

/// Name of the file with what can be updated.
const UPDATES: &str = "updates.json";

/// Name of the cluster of the listeners beside the sidecar's own.
const BESIDE: &str = "beside";

/// Builds the bootstrap; the admin's socket lies in `folder`.
pub(super) fn build(sidecar: &Sidecar, folder: &Path) -> Value {
    let admin = pipe(&folder.join("admin"));
    let mut listeners = vec![metrics_listener()];
    if sidecar.updates != Updates::Listener {
        listeners.push(http_listener(sidecar, folder));
    }
    let mut clusters =
        vec![static_cluster("admin", &admin), cluster(sidecar, "http", sidecar.upstream)];
    clusters.extend(sidecar.clusters.iter().map(|(name, port)| cluster(sidecar, name, *port)));
    if let Some(upstream) = sidecar.tcp_upstream {
        listeners.push(tcp_listener(sidecar));
        clusters.push(cluster(sidecar, "tcp", upstream));
    }
    if let Some(beside) = sidecar.beside {
        listeners.extend(Side::ALL.map(|side| listener_beside(sidecar, side, beside, folder)));
        clusters.push(cluster(sidecar, BESIDE, beside.application));
    }
    let listed = sidecar.updates == Updates::Listener;
    let files = json!({ "lds_config": { "path_config_source": { "path": folder.join(UPDATES) } } });
    json!({
        "dynamic_resources": if listed { files } else { json!({}) },
        "node": sidecar.node,
        "admin": { "address": admin },
        "stats_flush_interval": "0.050s",
        "stats_config": { "use_all_default_tags": false, "stats_tags": stats_tags(sidecar.dimensions.clone()) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// Gives a listener a port of its own.
pub(super) fn listen_on(bootstrap: &mut Value, name: &str, port: u16) {
    let listeners = bootstrap["static_resources"]["listeners"].as_array_mut();
    let named = listeners.into_iter().flatten().filter(|listener| listener["name"] == name);
    for listener in named {
        listener["address"] = socket(port);
    }
}

/// Writes the file that Envoy reads updates from, if it reads one. It is replaced at once: Envoy looks for moves.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_updates(sidecar: &Sidecar, folder: &Path) -> Result<()> {
    let resource = match sidecar.updates {
        Updates::None => return Ok(()),
        Updates::Listener => {
            let mut listener = http_listener(sidecar, folder);
            listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
            listener
        }
        Updates::Filter => json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "opmeter",
            "typed_config": opmeter(sidecar, "http", &sidecar.config),
        }),
    };
    let new = folder.join("new-updates.json");
    std::fs::write(&new, json!({ "resources": [resource] }).to_string())?;
    Ok(std::fs::rename(new, folder.join(UPDATES))?)
}

/// The module as a filter.
fn opmeter(sidecar: &Sidecar, layer: &str, config: &str) -> Value {
    let mut filter = wasm_filter(layer, config, &sidecar.module);
    for (name, value) in &sidecar.plugin {
        filter["config"][name] = value.clone();
    }
    filter
}

fn http_listener(sidecar: &Sidecar, folder: &Path) -> Value {
    let mut routes = sidecar.routes.clone();
    routes.push(route_to("http"));
    let side = sidecar.side.direction();
    let listener = listener("entry", side, &json!(routes), &http_filters(sidecar, folder));
    let mut listener = accepting(sidecar, logging(sidecar, listener, |log| &log.http_options));
    if sidecar.beside.is_some() {
        balance(&mut listener);
    }
    listener
}

/// The listener of one direction beside the sidecar's own.
fn listener_beside(sidecar: &Sidecar, side: Side, beside: Beside, folder: &Path) -> Value {
    let (name, routes) = (side.to_string(), json!([route_to(BESIDE)]));
    let filters = http_filters(sidecar, folder);
    let listener = listener(&name, side.direction(), &routes, &filters);
    let mut listener = logging(sidecar, listener, |log| &log.http_options);
    if side == Side::Inbound {
        listener["address"] = socket(beside.inbound_port);
    }
    balance(&mut listener);
    listener
}

/// Has a listener give each connection to the worker that has fewest.
fn balance(listener: &mut Value) {
    listener["connection_balance_config"] = json!({ "exact_balance": {} });
}

fn route_to(cluster: &str) -> Value {
    json!({
        "name": "default",
        "match": { "prefix": "/" },
        "route": { "cluster": cluster, "timeout": "0s" },
    })
}

fn http_filters(sidecar: &Sidecar, folder: &Path) -> Value {
    let stats = json!({
        "name": "grpc_stats",
        "typed_config": {
            "@type": format!("{TYPES}.http.grpc_stats.v3.FilterConfig"),
            "emit_filter_state": true,
        },
    });
    let mut opmeter =
        json!({ "name": "opmeter", "typed_config": opmeter(sidecar, "http", &sidecar.config) });
    if sidecar.updates == Updates::Filter {
        let source = json!({
            "path_config_source": { "path": folder.join(UPDATES) },
            "resource_api_version": "V3",
        });
        let kind = format!("{TYPES}.http.wasm.v3.Wasm");
        let discovery = json!({ "config_source": source, "type_urls": [kind] });
        opmeter = json!({ "name": "opmeter", "config_discovery": discovery });
    }
    let mut filters = vec![opmeter, stats, router()];
    if !sidecar.filter {
        filters.remove(0);
    }
    json!(filters)
}

/// Gives a listener the access logger, if there is one.
fn logging(sidecar: &Sidecar, mut listener: Value, options: impl Fn(&Log) -> &Value) -> Value {
    if let Some(log) = &sidecar.log {
        let mut logger = access_logger(&log.config, &sidecar.module);
        logger["typed_config"]["config"]["vm_config"]["vm_id"] = log.vm_id.as_str().into();
        log_to(&mut listener, &logger, options(log));
        if log.of_listener {
            listener["access_log"] = json!([logger]);
        }
    }
    listener
}

fn tcp_listener(sidecar: &Sidecar) -> Value {
    let opmeter = opmeter(sidecar, "network", &sidecar.tcp_config);
    let proxy = json!({
        "@type": format!("{TYPES}.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": TCP_LISTENER,
        "cluster": "tcp",
    });
    let mut filters = vec![
        json!({ "name": "opmeter", "typed_config": opmeter }),
        json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy }),
    ];
    if !sidecar.filter {
        filters.remove(0);
    }
    let listener = json!({
        "name": TCP_LISTENER,
        "traffic_direction": sidecar.side.direction(),
        "address": socket(0),
        "filter_chains": [{ "filters": filters }],
    });
    accepting(sidecar, logging(sidecar, listener, |log| &log.tcp_options))
}

/// Gives a listener's only filter chain the connections it is to accept.
fn accepting(sidecar: &Sidecar, mut listener: Value) -> Value {
    let secure = |ends: &Certificates| {
        let mut chain = listener["filter_chains"][0].clone();
        chain["transport_socket"] = ends.local.server(&ends.peer);
        chain
    };
    match &sidecar.accepts {
        Accepts::Plain => {}
        Accepts::MutualTls(ends) => listener["filter_chains"] = json!([secure(ends)]),
        Accepts::Permissive(ends) => {
            let mut secure = secure(ends);
            secure["filter_chain_match"] = json!({ "transport_protocol": "tls" });
            let mut plain = listener["filter_chains"][0].take();
            plain["filter_chain_match"] = json!({ "transport_protocol": "raw_buffer" });
            listener["filter_chains"] = json!([plain, secure]);
            let inspector = "type.googleapis.com/\
                envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
            listener["listener_filters"] =
                json!([{ "name": "tls", "typed_config": { "@type": inspector } }]);
        }
    }
    listener
}

fn cluster(sidecar: &Sidecar, name: &str, upstream: u16) -> Value {
    let mut cluster = static_cluster(name, &socket(upstream));
    cluster["metadata"] = json!({ "filter_metadata": { "istio": sidecar.istio_metadata } });
    if let Some(workload) = &sidecar.endpoint_workload {
        let metadata = json!({ "filter_metadata": { "istio": { "workload": workload } } });
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["metadata"] = metadata;
    }
    if let Some(ends) = &sidecar.connects {
        cluster["transport_socket"] = ends.local.client(&ends.peer);
    }
    if name != "tcp" {
        let options = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": { "http2_protocol_options": {} },
        });
        cluster["typed_extension_protocol_options"] =
            json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options });
    }
    cluster
}

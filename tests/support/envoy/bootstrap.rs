//! The bootstrap of a case's Envoy.

use super::tls::{self, Relay};
use super::{filter_state, tcp_chain};
use crate::case::{Case, Fault, Response};
use crate::engine::Mount;
use crate::http::INDEX_HEADER;
use anyhow::{Result, ensure};
use opmeter_core::metric::standard::HTTP_LABELS;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A port nobody listens on: it is reserved (TCP port service multiplexer).
const CLOSED_PORT: u16 = 1;

pub(crate) const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// Builds the bootstrap. Sockets between parts of it lie in `folder`.
///
/// TLS is done by relays inside the same Envoy: clients and upstreams stay plain.
///
/// # Errors
/// When the case's requests need different clusters of one name.
pub(super) fn build(
    case: &Case,
    mount: Mount,
    upstream: u16,
    folder: &Path,
    module: &Path,
) -> Result<Value> {
    filter_state::check(case)?;
    let admin = folder.join("admin");
    let mut listeners = vec![metrics_listener()];
    let mut clusters = vec![static_cluster("admin", &pipe(&admin))];
    let mut traffic = traffic_listener(case, mount, module);
    if let Some(tls) = &case.downstream_tls {
        let relay = Relay::new(tls, folder, "downstream")?;
        traffic["address"] = pipe(&relay.socket);
        traffic["filter_chains"][0]["transport_socket"] = relay.local.server(&relay.peer);
        let mut cluster = static_cluster("downstream-relay", &pipe(&relay.socket));
        cluster["transport_socket"] = relay.peer.client(&relay.local);
        listeners.push(tls::relay_listener("entry", &socket(0), "downstream-relay"));
        clusters.push(cluster);
    } else {
        traffic["name"] = "entry".into();
    }
    let mut cluster = cluster(case, &socket(upstream))?;
    if let Some(tls) = &case.upstream_tls {
        let relay = Relay::new(tls, folder, "upstream")?;
        clusters.push(static_cluster("upstream-relay", &socket(upstream)));
        let mut listener = tls::relay_listener("exit", &pipe(&relay.socket), "upstream-relay");
        listener["filter_chains"][0]["transport_socket"] = relay.peer.server(&relay.local);
        listeners.push(listener);
        cluster = self::cluster(case, &pipe(&relay.socket))?;
        cluster["transport_socket"] = relay.local.client(&relay.peer);
    }
    listeners.push(traffic);
    clusters.push(cluster);
    Ok(json!({
        "node": {
            "id": "test", "cluster": "test", "locality": case.locality, "metadata": case.node,
        },
        "admin": { "address": pipe(&admin) },
        "stats_flush_interval": "0.050s",
        "stats_config": { "use_all_default_tags": false, "stats_tags": tags_of(case) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    }))
}

fn tags_of(case: &Case) -> Value {
    if case.node.contains_key("PROXY_CONFIG") {
        istio_stats_tags(case.dimensions())
    } else {
        stats_tags(case.dimensions())
    }
}

/// What Istio's agent writes into a bootstrap (istio `envoy_bootstrap.json`): its own generic tags, and one for each of
/// `extraStatTags`, all of them unanchored.
fn istio_stats_tags(dimensions: Vec<String>) -> Value {
    let extra = label_names(dimensions).into_iter().map(|name| {
        let regex = format!(r"({name}=\.=(.*?);\.;)");
        (name, regex)
    });
    let generic = [
        ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
        ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
        ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
        ("cache", r"(cache\.(.+?)\.)"),
        ("component", r"(component\.(.+?)\.)"),
        ("response_code", r"_rq(_(\d{3}))$"),
        ("tag", r"(tag\.(.+?);\.)"),
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ];
    let generic = generic.into_iter().map(|(name, regex)| (name.to_owned(), regex.to_owned()));
    extra.chain(generic).map(|(name, regex)| json!({ "tag_name": name, "regex": regex })).collect()
}

fn label_names(dimensions: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = HTTP_LABELS.iter().map(|label| label.name().to_owned()).collect();
    names.extend(dimensions);
    names.sort();
    names.dedup();
    names
}

/// What takes labels out of stat names: the standard ones and `dimensions`.
pub(crate) fn stats_tags(dimensions: Vec<String>) -> Value {
    let mut tags: Vec<Value> = label_names(dimensions)
        .iter()
        .map(|name| {
            let escaped = name.replace('.', r"\.");
            let regex = format!(r"(?:^wasmcustom\.|;\.;)({escaped}=\.=(.*?);\.;)");
            json!({ "tag_name": name, "regex": regex })
        })
        .collect();
    tags.push(
        json!({ "tag_name": "component", "regex": r"^wasmcustom\.(component\.(.+?)\.)tag\." }),
    );
    tags.push(
        json!({ "tag_name": "tag", "regex": r"^wasmcustom\.component\..+?\.(tag\.(.+?);\.)" }),
    );
    tags.into()
}

fn traffic_listener(case: &Case, mount: Mount, module: &Path) -> Value {
    let direction = case.side.direction();
    if case.is_tcp() {
        return tcp_chain::listener(case, mount, direction, module);
    }
    let routes: Vec<Value> = (0..case.requests.len()).filter_map(|i| route(case, i)).collect();
    let mut filters: Vec<Value> = filter_state::http_filter(case).into_iter().collect();
    if mount == Mount::Filter {
        let opmeter = wasm_filter("http", &case.config, module);
        filters.push(json!({ "name": "opmeter", "typed_config": opmeter }));
    }
    if case.counts_messages() {
        let stats = format!("{TYPES}.http.grpc_stats.v3.FilterConfig");
        filters.push(json!({
            "name": "envoy.filters.http.grpc_stats",
            "typed_config": { "@type": stats, "emit_filter_state": true },
        }));
    }
    let fault = json!({ "@type": format!("{TYPES}.http.fault.v3.HTTPFault") });
    filters.push(json!({ "name": "envoy.filters.http.fault", "typed_config": fault }));
    filters.push(router());
    let mut listener = listener("traffic", direction, &json!(routes), &json!(filters));
    if mount == Mount::AccessLogger {
        log_to(&mut listener, &access_logger(&case.config, module), &json!({}));
    }
    listener
}

/// The module as an HTTP filter (`http`) or a network filter (`network`).
pub(crate) fn wasm_filter(layer: &str, config: &str, module: &Path) -> Value {
    json!({ "@type": format!("{TYPES}.{layer}.wasm.v3.Wasm"), "config": plugin(config, module) })
}

/// The module as an access logger.
pub(crate) fn access_logger(config: &str, module: &Path) -> Value {
    json!({
        "name": "opmeter",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
            "config": plugin(config, module),
        },
    })
}

/// Lets the last network filter of a listener's first filter chain write an access log.
pub(crate) fn log_to(listener: &mut Value, logger: &Value, options: &Value) {
    let filters = listener["filter_chains"][0]["filters"].as_array_mut();
    let last = filters.and_then(|filters| filters.last_mut()).expect("a filter");
    last["typed_config"]["access_log"] = json!([logger]);
    last["typed_config"]["access_log_options"] = options.clone();
}

fn plugin(config: &str, module: &Path) -> Value {
    json!({
            "name": "opmeter",
            "root_id": "opmeter",
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": config,
            },
    })
}

/// The route of one request, known by its index header; none when no route may match.
fn route(case: &Case, index: usize) -> Option<Value> {
    let response = case.response_to(case.requests.get(index)?);
    let matcher = json!({
        "prefix": "/",
        "headers": [{ "name": INDEX_HEADER, "string_match": { "exact": index.to_string() } }],
    });
    let mut route = json!({ "name": case.route, "match": matcher });
    let cluster = case.cluster.name.as_str();
    match response.fault {
        Fault::NoRoute => return None,
        Fault::Direct => {
            let body = "x".repeat(response.body_bytes);
            route["direct_response"] =
                json!({ "status": response.status, "body": { "inline_string": body } });
        }
        Fault::NoCluster => {
            route["route"] = json!({ "cluster": "no-such-cluster" });
        }
        Fault::Timeout => route["route"] = json!({ "cluster": cluster, "timeout": "0.1s" }),
        _ => route["route"] = json!({ "cluster": cluster, "timeout": "0s" }),
    }
    if case.retries > 0 {
        let policy = json!({ "retry_on": "connect-failure", "num_retries": case.retries });
        route["route"]["retry_policy"] = policy;
    }
    if let Some(fault) = injected(response) {
        route["typed_per_filter_config"] = json!({ "envoy.filters.http.fault": fault });
    }
    Some(route)
}

/// What Envoy's fault filter does to a request.
fn injected(response: &Response) -> Option<Value> {
    let always = json!({ "numerator": 100 });
    let mut fault = json!({ "@type": format!("{TYPES}.http.fault.v3.HTTPFault") });
    match response.fault {
        Fault::InjectedAbort => {
            fault["abort"] = json!({ "http_status": response.status, "percentage": always });
        }
        Fault::InjectedDelay => {
            fault["delay"] = json!({ "fixed_delay": "0.020s", "percentage": always });
        }
        _ => return None,
    }
    Some(fault)
}

/// Serves what Prometheus scrapes.
pub(crate) fn metrics_listener() -> Value {
    let routes = json!([{
        "match": { "path": "/stats/prometheus" },
        "route": { "cluster": "admin" },
    }]);
    listener("metrics", "UNSPECIFIED", &routes, &json!([router()]))
}

pub(crate) fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{TYPES}.http.router.v3.Router") },
    })
}

pub(crate) fn listener(name: &str, direction: &str, routes: &Value, filters: &Value) -> Value {
    let manager = json!({
        "@type": format!("{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "codec_type": "AUTO",
        "route_config": {
            "name": name,
            "validate_clusters": false,
            "virtual_hosts": [{ "name": "test", "domains": ["*"], "routes": routes }],
        },
        "http_filters": filters,
    });
    json!({
        "name": name,
        "traffic_direction": direction,
        "address": socket(0),
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }],
        }],
    })
}

fn cluster(case: &Case, upstream: &Value) -> Result<Value> {
    let of_requests = case.requests.iter().map(|r| case.response_to(r).fault);
    let of_connections = case.connections.iter().map(|c| c.fault);
    let faults: Vec<Fault> =
        if case.is_tcp() { of_connections.collect() } else { of_requests.collect() };
    let has = |fault: Fault| faults.contains(&fault);
    let shaped = [Fault::Refuse, Fault::NoEndpoint, Fault::Overflow];
    let shapes = shaped.iter().filter(|fault| has(**fault)).count();
    ensure!(shapes <= 1, "at most one of refuse, no-endpoint and overflow in a case");
    let closed = socket(CLOSED_PORT);
    let address = if has(Fault::Refuse) { &closed } else { upstream };
    let mut cluster = static_cluster(&case.cluster.name, address);
    if has(Fault::NoEndpoint) {
        cluster["load_assignment"]["endpoints"] = json!([]);
    }
    if has(Fault::Overflow) {
        let none = json!({ "max_connections": 0, "max_pending_requests": 0, "max_requests": 0 });
        cluster["circuit_breakers"] = json!({ "thresholds": [none] });
    }
    if let Some(workload) = &case.cluster.endpoint {
        let istio = json!({ "istio": { "workload": workload } });
        let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
        endpoint["metadata"] = json!({ "filter_metadata": istio });
    }
    let istio = istio_metadata(case);
    if !istio.is_empty() {
        cluster["metadata"] = json!({ "filter_metadata": { "istio": istio } });
    }
    if case.requests.iter().any(|request| request.grpc) {
        let options = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        });
        cluster["typed_extension_protocol_options"] =
            json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options });
    }
    Ok(cluster)
}

fn istio_metadata(case: &Case) -> Map<String, Value> {
    let told = &case.cluster;
    let fields = [
        ("services", (!told.services.is_empty()).then(|| json!(told.services))),
        ("external", told.external.map(Value::from)),
        ("disable_mx", told.disable_mx.map(Value::from)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

pub(crate) fn static_cluster(name: &str, address: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

pub(crate) fn socket(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

pub(crate) fn pipe(path: &Path) -> Value {
    json!({ "pipe": { "path": path } })
}

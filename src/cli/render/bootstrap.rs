//! A plain Envoy's bootstrap: one listener with the module, the admin, and what Prometheus scrapes.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::plugin::{compiled, labels};
use super::project::Loaded;
use super::tags::number;
use super::wasm::{Mount, mounted};
use crate::lint::tag_expression;
use crate::schema::{Side, Stats};

/// Istio's default bounds.
const BUCKETS: [f64; 19] = [
    0.5, 1., 5., 10., 25., 50., 100., 250., 500., 1_000., 2_500., 5_000., 10_000., 30_000.,
    60_000., 300_000., 600_000., 1_800_000., 3_600_000.,
];
const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The whole bootstrap.
pub fn bootstrap(loaded: &Loaded) -> Result<Value> {
    ensure!(
        loaded.project.stats != Stats::Beside,
        "a plain Envoy has no native Istio stats to stand beside; use `stats: replace` or `own`"
    );
    let side = match loaded.project.place.side {
        Side::Outbound => Side::Outbound,
        Side::Gateway => Side::Gateway,
        Side::Inbound | Side::Both => Side::Inbound,
    };
    let place = &loaded.project.place;
    let outbound = side == Side::Outbound;
    let listen = address(&place.listen, if outbound { 15001 } else { 15006 }, "where.listen")?;
    let upstream = address(&place.upstream, if outbound { 15006 } else { 9080 }, "where.upstream")?;
    let prometheus: SocketAddr = ([127, 0, 0, 1], 15090).into();
    let admin: SocketAddr = ([127, 0, 0, 1], 15000).into();
    Ok(json!({
        "node": node(loaded),
        "admin": {"address": socket(admin)},
        "stats_config": stats_config(loaded, side)?,
        "static_resources": {
            "listeners": [traffic(loaded, side, listen), scraped(prometheus)],
            "clusters": [cluster("upstream", upstream), cluster("admin", admin)],
        },
    }))
}

fn address(given: &Option<String>, port: u16, field: &str) -> Result<SocketAddr> {
    match given {
        None => Ok(([127, 0, 0, 1], port).into()),
        Some(text) => text.parse().with_context(|| {
            format!("{field}: found \"{text}\", expected an address such as 127.0.0.1:15006")
        }),
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// What Istio's agent would write: the workload's own labels come from it.
fn node(loaded: &Loaded) -> Value {
    let project = &loaded.project;
    let workload = project.place.deployment.as_deref().unwrap_or(&project.name);
    json!({
        "id": format!("sidecar~127.0.0.1~{workload}.{0}~{0}.svc.cluster.local", project.namespace),
        "cluster": format!("{workload}.{}", project.namespace),
        "metadata": {
            "NAMESPACE": project.namespace,
            "WORKLOAD_NAME": workload,
            "LABELS": project.place.selector,
        },
    })
}

fn stats_config(loaded: &Loaded, side: Side) -> Result<Value> {
    let (config, _) =
        compiled(loaded, side).context("the module does not take the configuration")?;
    let mut tags: Vec<Value> = labels(loaded)
        .iter()
        .map(|label| json!({"tag_name": label, "regex": tag_expression(label, &config)}))
        .collect();
    // wasmcustom.component.proxy.tag.VERSION;.istio_build
    tags.push(
        json!({"tag_name": "component", "regex": r"^wasmcustom\.(component\.(.+?)\.)tag\..+?;\."}),
    );
    tags.push(json!({"tag_name": "tag", "regex": r"^wasmcustom\.component\..+?\.(tag\.(.+?);\.)"}));
    let buckets = loaded.project.histogram_buckets.as_deref().unwrap_or(&BUCKETS);
    let buckets: Vec<Value> = buckets.iter().map(|bound| number(*bound)).collect();
    Ok(json!({
        "stats_tags": tags,
        "histogram_bucket_settings": [{"match": {"prefix": "wasmcustom"}, "buckets": buckets}],
    }))
}

fn traffic(loaded: &Loaded, side: Side, listen: SocketAddr) -> Value {
    let place = &loaded.project.place;
    let filters = match place.tcp {
        true => tcp_filters(loaded, side),
        false => vec![manager(loaded, side)],
    };
    json!({
        "name": "traffic",
        "traffic_direction": if side == Side::Inbound { "INBOUND" } else { "OUTBOUND" },
        "address": socket(listen),
        "filter_chains": [{"filters": filters}],
    })
}

fn manager(loaded: &Loaded, side: Side) -> Value {
    let mut filters = vec![
        json!({"name": "envoy.filters.http.grpc_stats", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
            "emit_filter_state": true,
        }}),
        router(),
    ];
    let mut config = json!({
        "@type": MANAGER,
        "stat_prefix": "traffic",
        "codec_type": "AUTO",
        "route_config": routes("/", "upstream"),
    });
    match loaded.project.place.access_log {
        true => config["access_log"] = json!([mounted(loaded, side, Mount::AccessLog)]),
        false => filters.insert(0, mounted(loaded, side, Mount::Http)),
    }
    config["http_filters"] = filters.into();
    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": config})
}

fn tcp_filters(loaded: &Loaded, side: Side) -> Vec<Value> {
    let mut proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "traffic",
        "cluster": "upstream",
    });
    let mut filters = Vec::new();
    match loaded.project.place.access_log {
        true => proxy["access_log"] = json!([mounted(loaded, side, Mount::AccessLog)]),
        false => filters.push(mounted(loaded, side, Mount::Network)),
    }
    filters.push(json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}));
    filters
}

fn router() -> Value {
    json!({"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }})
}

fn routes(prefix: &str, cluster: &str) -> Value {
    let route = json!({"match": {"prefix": prefix}, "route": {"cluster": cluster}});
    json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]})
}

/// Only this one path reaches the admin.
fn scraped(listen: SocketAddr) -> Value {
    let config = json!({
        "@type": MANAGER,
        "stat_prefix": "stats",
        "route_config": routes("/stats/prometheus", "admin"),
        "http_filters": [router()],
    });
    json!({
        "name": "prometheus",
        "address": socket(listen),
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": config},
        ]}],
    })
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(address)}}]}],
        },
    })
}

//! The bootstrap of the proxies.

use super::Mounts;
use super::listeners::{DIMENSIONS, Direction, Maker};
use super::tls::Certificates;
use super::{Host, Servers, clusters};
use crate::envoy::bootstrap::{TYPES, metrics_listener, pipe, socket, stats_tags};
use crate::envoy::tls::relay_listener;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

/// Builds it; sockets between its listeners lie in `folder`.
pub(super) fn build(
    mounts: Mounts,
    servers: Servers,
    hosts: &[Host],
    folder: &Path,
    module: &Path,
) -> Result<Value> {
    let maker = Maker { mounts, module };
    let certificates = Certificates::new()?;
    let mut listeners = vec![metrics_listener()];
    listeners.extend(http(&maker, &certificates, hosts, folder));
    listeners.extend(tcp(&maker, &certificates, folder));
    let admin = pipe(&folder.join("admin"));
    let dimensions = DIMENSIONS.map(str::to_owned).to_vec();
    Ok(json!({
        "node": {
            "id": "sidecar~127.0.0.1~shop-0.default~default.svc.cluster.local",
            "cluster": "shop.default",
            "metadata": {
                "NAME": "shop-0", "NAMESPACE": "default", "WORKLOAD_NAME": "shop",
                "LABELS": { "app": "shop", "service.istio.io/canonical-name": "shop" },
            },
        },
        "admin": { "address": admin },
        "stats_flush_interval": "0.200s",
        "stats_config": { "use_all_default_tags": false, "stats_tags": stats_tags(dimensions) },
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters::all(servers, &certificates, folder),
        },
    }))
}

fn http(maker: &Maker<'_>, tls: &Certificates, hosts: &[Host], folder: &Path) -> Vec<Value> {
    let (outbound, inbound): (Vec<Value>, Vec<Value>) =
        hosts.iter().map(|host| (host.outbound.clone(), host.inbound.clone())).unzip();
    let none = json!({});
    let path = |name: &str| pipe(&folder.join(name));
    let strict = json!({
        "request_timeout": "0.300s",
        "request_headers_timeout": "0.200s",
        "max_request_headers_kb": 8,
        "stream_idle_timeout": "0.300s",
        "common_http_protocol_options": { "max_headers_count": 20 },
        "http_protocol_options": { "accept_http_10": false },
    });
    let mut secure_in = maker.http("in-mtls", Direction::In, &path("in-mtls"), &inbound, &none);
    secure_in["filter_chains"][0]["transport_socket"] = tls.listener();
    let mut front = maker.http("front", Direction::Out, &path("front"), &outbound, &none);
    front["filter_chains"][0]["transport_socket"] = tls.listener();
    let http3 = json!({ "codec_type": "HTTP3", "http3_protocol_options": {} });
    let mut quic = maker.http("quic", Direction::Out, &socket(0), &outbound, &http3);
    quic["address"]["socket_address"]["protocol"] = "UDP".into();
    quic["udp_listener_config"] = json!({ "quic_options": {} });
    quic["filter_chains"][0]["transport_socket"] = tls.quic();
    vec![
        maker.http("entry", Direction::Out, &socket(0), &outbound, &none),
        maker.http("strict", Direction::Out, &socket(0), &outbound, &strict),
        maker.http("in", Direction::In, &path("in"), &inbound, &none),
        secure_in,
        front,
        quic,
        // They speak TLS for clients.
        relay_listener("tls-h1", &socket(0), "front-h1"),
        relay_listener("tls-h2", &socket(0), "front-h2"),
        relay_listener("tls-anonymous", &socket(0), "front-anonymous"),
    ]
}

fn tcp(maker: &Maker<'_>, tls: &Certificates, folder: &Path) -> Vec<Value> {
    let path = |name: &str| pipe(&folder.join(name));
    let to = |cluster: &str| json!({ "cluster": cluster });
    let out = |name: &str, patch: &Value| maker.tcp(name, Direction::Out, &socket(0), patch, None);
    let idle = json!({ "cluster": "tcp-in", "idle_timeout": "0.300s" });
    let short = json!({ "cluster": "tcp-in", "max_downstream_connection_duration": "0.300s" });
    let retried = json!({ "cluster": "refused", "max_connect_attempts": 3 });
    let inner = |name: &str, address: &Value| {
        let mut listener = maker.tcp(name, Direction::In, address, &to("tcp-app"), None);
        if name != "tcp-in" {
            listener["filter_chains"][0]["transport_socket"] = tls.listener();
        }
        listener
    };
    let everybody = json!({ "permissions": [{ "any": true }], "principals": [{ "any": true }] });
    let denial = json!({
        "@type": format!("{TYPES}.network.rbac.v3.RBAC"),
        "stat_prefix": "denied",
        "rules": { "action": "DENY", "policies": { "all": everybody } },
    });
    let denial = json!({ "name": "envoy.filters.network.rbac", "typed_config": denial });
    let denied = maker.tcp("tcp-denied", Direction::Out, &socket(0), &to("tcp-in"), Some(denial));
    vec![
        out("tcp", &to("tcp-in")),
        out("tcp-refused", &to("refused")),
        out("tcp-retried", &retried),
        out("tcp-empty", &to("empty")),
        out("tcp-nowhere", &to("nowhere")),
        out("tcp-busy", &to("tcp-busy")),
        out("tcp-idle", &idle),
        out("tcp-short", &short),
        out("tcp-mtls", &to("tcp-in-mtls")),
        out("tcp-distrusted", &to("tcp-distrusted")),
        denied,
        inner("tcp-in", &path("tcp-in")),
        inner("tcp-in-mtls", &path("tcp-in-mtls")),
        inner("tcp-in-tls", &socket(0)),
    ]
}

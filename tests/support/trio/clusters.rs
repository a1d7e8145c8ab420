//! The clusters of the proxies.

use super::Servers;
use super::tls::Certificates;
use crate::envoy::bootstrap::{pipe, socket, static_cluster};
use serde_json::{Value, json};
use std::path::Path;

/// A port nobody listens on: it is reserved (TCP port service multiplexer).
const CLOSED_PORT: u16 = 1;

const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// All of them; the names say where they go, and what is wrong there.
pub(super) fn all(servers: Servers, certificates: &Certificates, folder: &Path) -> Vec<Value> {
    let inner = |name: &str, socket: &str| static_cluster(name, &pipe(&folder.join(socket)));
    let as_received = json!({ "use_downstream_protocol_config": {
        "http_protocol_options": { "enable_trailers": true }, "http2_protocol_options": { "allow_connect": true },
    } });
    let http1 = json!({ "explicit_http_config": {
        "http_protocol_options": { "enable_trailers": true },
    } });
    let http2 =
        json!({ "explicit_http_config": { "http2_protocol_options": { "allow_connect": true } } });
    let mut empty = static_cluster("empty", &socket(CLOSED_PORT));
    empty["load_assignment"]["endpoints"] = json!([]);
    let mut all = vec![
        static_cluster("admin", &pipe(&folder.join("admin"))),
        speaking(inner("in", "in"), &as_received),
        speaking(inner("in-h2", "in"), &http2),
        busy(speaking(inner("in-busy", "in"), &http1)),
        speaking(static_cluster("app", &socket(servers.http)), &http1),
        busy(speaking(static_cluster("app-busy", &socket(servers.http)), &http1)),
        speaking(static_cluster("grpc", &socket(servers.grpc)), &http2),
        static_cluster("refused", &socket(CLOSED_PORT)),
        speaking(static_cluster("grpc-refused", &socket(CLOSED_PORT)), &http2),
        empty,
        static_cluster("tcp-app", &socket(servers.tcp)),
        inner("tcp-in", "tcp-in"),
        busy(inner("tcp-busy", "tcp-in")),
    ];
    let secure = [
        ("in-mtls", "in-mtls", certificates.cluster(&[])),
        ("in-mtls-h2", "in-mtls", certificates.cluster(&["h2"])),
        ("in-distrusted", "in-mtls", certificates.distrusting()),
        ("in-anonymous", "in-mtls", certificates.anonymous()),
        ("in-plain", "in-mtls", Value::Null),
        ("in-not-tls", "in", certificates.cluster(&[])),
        ("tcp-in-mtls", "tcp-in-mtls", certificates.cluster(&[])),
        ("tcp-distrusted", "tcp-in-mtls", certificates.distrusting()),
        ("front-h1", "front", certificates.cluster(&["http/1.1"])),
        ("front-h2", "front", certificates.cluster(&["h2"])),
        ("front-anonymous", "front", certificates.anonymous()),
    ];
    for (name, target, transport) in secure {
        let mut cluster = inner(name, target);
        if name == "in-mtls-h2" {
            cluster = speaking(cluster, &http2);
        }
        if !transport.is_null() {
            cluster["transport_socket"] = transport;
        }
        all.push(cluster);
    }
    all
}

fn speaking(mut cluster: Value, options: &Value) -> Value {
    cluster["typed_extension_protocol_options"][OPTIONS] = options.clone();
    cluster["typed_extension_protocol_options"][OPTIONS]["@type"] =
        format!("type.googleapis.com/{OPTIONS}").into();
    cluster
}

/// Whose circuit breaker is always open.
fn busy(mut cluster: Value) -> Value {
    let none = json!({ "max_connections": 0, "max_pending_requests": 0, "max_requests": 0 });
    cluster["circuit_breakers"] = json!({ "thresholds": [none] });
    cluster
}

//! Envoy's attributes of the request in question (Envoy documentation, "Attributes").

use serde_json::{Map, Value, json};

use super::{ExplainArgs, Side};

/// Nanoseconds a request of the model takes.
const DURATION: i64 = 12_000_000;

/// All attributes at the end of the request; `node` is a bootstrap's.
pub fn attributes(args: &ExplainArgs, node: Value) -> Value {
    let path = args.path.as_str();
    let mut headers: Map<String, Value> = args
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let host = headers.remove("host").or_else(|| headers.get(":authority").cloned());
    let host = host.unwrap_or_else(|| "example".into());
    for (name, value) in [
        (":method", args.method.as_str().into()),
        (":path", path.into()),
        (":authority", host.clone()),
    ] {
        headers.insert(name.to_owned(), value);
    }
    let (url_path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut root = json!({
        "request": {
            "method": args.method, "path": path, "url_path": url_path, "query": query,
            "host": host, "scheme": "http", "protocol": "HTTP/1.1", "headers": headers,
            "duration": DURATION, "size": 0, "total_size": 200,
        },
        "response": {"flags": 0, "headers": {}, "size": 0, "total_size": 300},
        "connection": {"id": 1, "mtls": false},
        "source": {"address": "127.0.0.1:40000", "port": 40_000},
        "destination": {"address": "127.0.0.1:15006", "port": 15_006},
        "upstream": {"address": "127.0.0.1:9080", "port": 9_080},
        "xds": {
            "node": node, "route_name": "default", "virtual_host_name": "", "filter_chain_name": "",
            "listener_direction": if args.side == Side::Inbound { 1 } else { 2 },
            "cluster_name": "", "cluster_metadata": {"filter_metadata": {}},
        },
        "metadata": {},
        "filter_state": {},
        "plugin_name": "opmeter",
        "plugin_root_id": "opmeter",
    });
    for (attribute, name) in
        [("useragent", "user-agent"), ("referer", "referer"), ("id", "x-request-id")]
    {
        if let Some(value) = root["request"]["headers"].get(name).cloned() {
            root["request"][attribute] = value;
        }
    }
    // Without an answer there is no code.
    if args.status > 0 {
        root["response"]["code"] = args.status.into();
    }
    if !args.peer.is_empty() {
        let key = if args.side == Side::Inbound { "downstream_peer" } else { "upstream_peer" };
        root["filter_state"][key] = peer(&args.peer);
    }
    root
}

/// As Istio's filter state holds it: known fields, and everything else as pod labels.
fn peer(pairs: &[(String, String)]) -> Value {
    const FIELDS: [&str; 12] = [
        "workload",
        "namespace",
        "cluster",
        "service",
        "revision",
        "app",
        "version",
        "type",
        "name",
        "identity",
        "region",
        "availability_zone",
    ];
    let (fields, labels): (Vec<_>, Vec<_>) =
        pairs.iter().partition(|(name, _)| FIELDS.contains(&name.as_str()));
    let map = |pairs: Vec<&(String, String)>| -> Map<String, Value> {
        pairs.into_iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
    };
    let mut peer = map(fields);
    peer.insert("labels".to_owned(), map(labels).into());
    Value::Object(peer)
}

//! A proxy stream as Envoy shows it to a module: which attributes exist when, and their values.

use crate::case::{Case, Connection, Fault, Request, Response, Side, Tick};
use crate::value::Value;
use std::collections::BTreeMap;

/// Envoy's response flags by bit (Envoy documentation, access log `%RESPONSE_FLAGS%`).
const FLAGS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The duration every modelled stream takes: 7 ms and a bit, and at least its delay.
const DURATION: i64 = 7_900_000;

/// Attributes while configuring: the node alone, no listener yet.
pub fn configuring(case: &Case) -> Value {
    let node = Value::map()
        .with("id", "test")
        .with("cluster", "test")
        .with("locality", text_map(&case.locality))
        .with("metadata", Value::from(&toml::Value::Table(case.node.clone())));
    Value::object([
        ("xds", Value::map().with("node", node)),
        ("filter_state", Value::map()),
        ("plugin_name", "opmeter".into()),
        ("plugin_root_id", "opmeter".into()),
    ])
}

/// Attributes when the request headers have arrived.
pub fn at_request(case: &Case, request: &Request) -> Value {
    let response = case.response_to(request);
    let mut root = before_upstream(case, response.fault);
    root.set("request", request_attributes(request));
    root
}

/// Attributes when the response headers have arrived.
pub fn at_response(case: &Case, request: &Request) -> Value {
    let response = case.response_to(request);
    let mut root = at_request(case, request);
    add_upstream(&mut root, case, response.fault);
    let attributes = Value::map().with("flags", 0).with("headers", headers(response.all_headers()));
    root.set("response", attributes.with("code", i64::from(response.status)));
    root
}

/// Attributes when the timer fires while a stream lasts.
pub fn at_tick(case: &Case, request: &Request, tick: &Tick) -> Value {
    let phase = if tick.answered { at_response } else { at_request };
    let mut root = phase(case, request);
    // Between callbacks Envoy shows no headers to a module, nor what it reads from them.
    root.set("request", Value::map());
    if let Some(response) = root.get_mut("response") {
        response.set("headers", Value::map());
    }
    add_messages(&mut root, case, tick.so_far);
    root
}

/// Attributes when the stream is logged.
pub fn at_log(case: &Case, request: &Request) -> Value {
    let response = case.response_to(request);
    let mut root = at_request(case, request);
    add_upstream(&mut root, case, response.fault);
    if request.grpc {
        let messages = [request.messages, response.messages].map(Option::unwrap_or_default);
        add_messages(&mut root, case, messages);
    }
    let Value::Map(fields) = &mut root else { return root };
    fields.insert("response".to_owned(), response_attributes(response));
    if let Some(request_fields) = fields.get_mut("request") {
        request_fields.set("duration", Value::Duration(DURATION + delay(response)));
        let size = size(request.body_bytes);
        request_fields.set("size", size);
        request_fields.set("total_size", size + header_size(&request.headers));
    }
    root
}

/// Attributes of a connection when so many bytes have passed: no request, hence neither headers nor a route.
pub fn of_connection(case: &Case, connection: &Connection, so_far: [u64; 2], ended: bool) -> Value {
    let [received, sent] = so_far.map(|bytes| i64::try_from(bytes).expect("few bytes"));
    let mut root = before_upstream(case, connection.fault);
    add_upstream(&mut root, case, connection.fault);
    let flags = if ended { mask(&connection.flags) } else { 0 };
    root.set("request", Value::map().with("total_size", received));
    root.set("response", Value::map().with("total_size", sent).with("flags", flags));
    if let Some(xds) = root.get_mut("xds") {
        xds.set("route_name", "");
    }
    root
}

/// Attributes of a connection when the TCP proxy logs it.
pub fn of_logged_connection(case: &Case, connection: &Connection) -> Value {
    let mut root = of_connection(case, connection, connection.in_the_end(), true);
    if let Some(request) = root.get_mut("request") {
        request.set("duration", Value::Duration(DURATION));
    }
    root
}

fn before_upstream(case: &Case, fault: Fault) -> Value {
    let mut root = configuring(case);
    root.set("response", Value::map().with("flags", 0));
    root.set("connection", connection(case));
    root.set("upstream", Value::map());
    root.set("source", Value::map().with("address", "127.0.0.1:40000").with("port", 40_000));
    root.set("destination", Value::map().with("address", "127.0.0.1:15001").with("port", 15_001));
    root.set("metadata", Value::map());
    root.set("filter_state", filter_state(case, false));
    if let Some(xds) = root.get_mut("xds") {
        fill_xds(xds, case, fault);
    }
    root
}

fn add_upstream(root: &mut Value, case: &Case, fault: Fault) {
    if !reaches_upstream(fault) {
        return;
    }
    root.set("upstream", upstream(case));
    root.set("filter_state", filter_state(case, true));
    if let (Some(workload), Some(xds)) = (&case.cluster.endpoint, root.get_mut("xds")) {
        let istio = Value::map().with("workload", workload.as_str());
        let metadata = Value::map().with("filter_metadata", Value::map().with("istio", istio));
        xds.set("upstream_host_metadata", metadata);
    }
}

/// What other filters left; who the upstream is they know once there is one.
fn filter_state(case: &Case, upstream: bool) -> Value {
    let known = case.filter_state.iter().filter(|(name, _)| upstream || *name != "upstream_peer");
    Value::Map(known.map(|(name, value)| (name.clone(), value.into())).collect())
}

/// What Envoy's grpc_stats filter tells; nothing before the first message.
fn add_messages(root: &mut Value, case: &Case, [requests, responses]: [u64; 2]) {
    if case.counts_messages()
        && requests + responses > 0
        && let Some(state) = root.get_mut("filter_state")
    {
        state.set("envoy.filters.http.grpc_stats", format!("{requests},{responses}"));
    }
}

fn request_attributes(request: &Request) -> Value {
    let url_path = request.path.split('?').next().unwrap_or_default();
    let mut headers = headers(request.all_headers());
    for (name, value) in
        [(":authority", &request.host), (":method", &request.method), (":path", &request.path)]
    {
        headers.set(name, value.as_str());
    }
    headers.set("host", request.host.as_str());
    let mut attributes = Value::object([
        ("host", request.host.as_str().into()),
        ("method", request.method.as_str().into()),
        ("path", request.path.as_str().into()),
        ("url_path", url_path.into()),
        ("query", request.path.split_once('?').map_or("", |(_, query)| query).into()),
        ("scheme", "http".into()),
        ("protocol", if request.grpc { "HTTP/2" } else { "HTTP/1.1" }.into()),
        ("time", Value::Timestamp(1_767_225_600_000_000_000)),
        ("headers", headers),
    ]);
    for (attribute, header) in
        [("referer", "referer"), ("useragent", "user-agent"), ("id", "x-request-id")]
    {
        if let Some(value) = request.headers.get(header) {
            attributes.set(attribute, value.as_str());
        }
    }
    attributes
}

/// Nanoseconds that the upstream takes.
fn delay(response: &Response) -> i64 {
    i64::try_from(response.delay_ms + response.pause_ms).expect("a short delay") * 1_000_000
}

fn response_attributes(response: &Response) -> Value {
    let mut attributes = Value::map()
        .with("flags", mask(&response.flags))
        .with("headers", headers(response.all_headers()));
    attributes.set("trailers", text_map(&response.trailers));
    attributes.set("code_details", "how it ended");
    attributes.set("size", size(response.body_bytes));
    let headers = header_size(&response.headers) + header_size(&response.trailers);
    attributes.set("total_size", size(response.body_bytes) + headers);
    if response.status != 0 {
        attributes.set("code", i64::from(response.status));
        attributes.set("grpc_status", grpc_status(response));
        if response.fault == Fault::None {
            attributes.set("backend_latency", Value::Duration(delay(response)));
        }
    }
    attributes
}

fn mask(flags: &[String]) -> i64 {
    flags.iter().map(|flag| bit(flag)).sum()
}

fn bit(flag: &str) -> i64 {
    let position = FLAGS.iter().position(|f| *f == flag);
    1 << position.unwrap_or_else(|| panic!("{flag} is not a response flag"))
}

/// Trailers, then headers, then the HTTP status, as Envoy does for any response, gRPC or not.
fn grpc_status(response: &Response) -> i64 {
    let given = response.trailers.get("grpc-status").or(response.headers.get("grpc-status"));
    if let Some(status) = given.and_then(|text| text.parse().ok()) {
        return status;
    }
    match response.status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn connection(case: &Case) -> Value {
    let mut attributes = Value::map()
        .with("id", 1)
        .with("mtls", case.downstream_tls.is_some())
        .with("requested_server_name", "");
    if let Some(tls) = &case.downstream_tls {
        attributes.set("uri_san_local_certificate", tls.local.as_str());
        attributes.set("uri_san_peer_certificate", tls.peer.as_str());
    }
    attributes
}

fn upstream(case: &Case) -> Value {
    let mut attributes = Value::map().with("address", "127.0.0.1:9080").with("port", 9_080);
    attributes.set("transport_failure_reason", "");
    if let Some(tls) = &case.upstream_tls {
        attributes.set("uri_san_local_certificate", tls.local.as_str());
        attributes.set("uri_san_peer_certificate", tls.peer.as_str());
    }
    attributes
}

fn fill_xds(xds: &mut Value, case: &Case, fault: Fault) {
    let direction = match case.side {
        Side::Gateway => 0,
        Side::Inbound => 1,
        Side::Outbound => 2,
    };
    let routed = fault != Fault::NoRoute;
    xds.set("listener_direction", direction);
    xds.set("route_name", if routed { case.route.as_str() } else { "" });
    xds.set("virtual_host_name", "test");
    xds.set("filter_chain_name", "");
    if has_cluster(fault) {
        xds.set("cluster_name", case.cluster.name.as_str());
        xds.set("cluster_metadata", Value::map().with("filter_metadata", cluster_metadata(case)));
    }
}

fn cluster_metadata(case: &Case) -> Value {
    let services: Vec<Value> = case.cluster.services.iter().map(text_map).collect();
    let mut istio = Value::map();
    if !services.is_empty() {
        istio.set("services", Value::List(services));
    }
    for (name, flag) in
        [("external", case.cluster.external), ("disable_mx", case.cluster.disable_mx)]
    {
        if let Some(flag) = flag {
            istio.set(name, flag);
        }
    }
    if istio == Value::map() { istio } else { Value::map().with("istio", istio) }
}

fn has_cluster(fault: Fault) -> bool {
    !matches!(fault, Fault::NoRoute | Fault::NoCluster | Fault::Direct)
}

fn reaches_upstream(fault: Fault) -> bool {
    has_cluster(fault)
        && !matches!(fault, Fault::NoEndpoint | Fault::Overflow | Fault::InjectedAbort)
}

fn headers(headers: BTreeMap<String, Vec<u8>>) -> Value {
    Value::Map(headers.into_iter().map(|(name, value)| (name, Value::Str(value))).collect())
}

fn text_map(fields: &BTreeMap<String, String>) -> Value {
    Value::Map(fields.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect())
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("a small size")
}

fn header_size(headers: &BTreeMap<String, String>) -> i64 {
    headers.iter().map(|(name, value)| size(name.len() + value.len())).sum()
}

//! Requests as they were received: path, content type, headers of the exchange, and requests that never passed the filter.
#![cfg(not(target_arch = "wasm32"))]

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::peer::LabelNames;
use opmeter_core::peer::header::{LocalNode, METADATA_HEADER, encode};
use opmeter_core::{Recorder, Stream, configure};
use support::{Script, Stats, int};

const INBOUND: i64 = 1;
const OUTBOUND: i64 = 2;
const REQUESTS: &str = "istio_requests_total";

fn script(direction: i64) -> Script {
    let facts = [
        (Fact::ListenerDirection, int(direction)),
        (Fact::Method, b"GET".to_vec()),
        (Fact::Path, b"/api/items/7".to_vec()),
        (Fact::ResponseCode, int(200)),
        (Fact::RequestBytes, int(2_000)),
        (Fact::ResponseBytes, int(3_000)),
    ];
    Script { facts: facts.into(), ..Script::default() }
}

fn recorder(config: &str, host: &mut Script, stats: &mut Stats) -> Recorder {
    let plan = configure(config.as_bytes(), host).expect("a configuration").plan;
    Recorder::new(plan, host, stats)
}

fn client() -> Vec<u8> {
    let node = LocalNode { workload: b"web-v1", namespace: b"shop", ..LocalNode::default() };
    encode(&node, &LabelNames::default())
}

#[test]
fn templates_are_looked_up_by_the_path_as_received() {
    for (source, wanted) in [("", "in"), (r#","path_source":"SENT""#, "out")] {
        let config = format!(
            r#"{{"attributes":[{{"output_attribute":"op"{source},"operations":[
                {{"path":"/api/items/{{id}}","value":"in"}},{{"path":"/items/{{id}}","value":"out"}}]}}],
                "metrics":[{{"dimensions":{{"op":"op"}}}}]}}"#
        );
        let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
        let mut recorder = recorder(&config, &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        host.facts.insert(Fact::Path, b"/items/7".to_vec());
        recorder.on_log(&mut stream, &mut host, &mut stats);
        let labels = stats.labels(REQUESTS);
        assert!(labels.contains(&format!("op=.={wanted};.;")), "{labels}");
    }
}

#[test]
fn a_condition_reads_the_path_of_its_phase() {
    for (phase, wanted) in [("ON_REQUEST", "in"), ("AFTER_RESPONSE", "out")] {
        let config = format!(
            r#"{{"attributes":[{{"output_attribute":"op","phase":"{phase}","match":[
                {{"condition":"request.url_path == '/api/items/7'","value":"in"}},
                {{"condition":"request.url_path == '/items/7'","value":"out"}}]}}],
                "metrics":[{{"dimensions":{{"op":"op"}}}}]}}"#
        );
        let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
        let mut recorder = recorder(&config, &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        host.facts.insert(Fact::Path, b"/items/7".to_vec());
        recorder.on_log(&mut stream, &mut host, &mut stats);
        assert!(stats.labels(REQUESTS).contains(&format!("op=.={wanted};.;")), "{phase}");
    }
}

#[test]
fn the_protocol_is_that_of_the_content_type_as_received() {
    for (received, end, wanted) in [
        ("application/grpc-web", "application/grpc", "http"),
        ("application/grpc", "application/x-protobuf", "grpc"),
        ("application/json", "application/grpc+proto", "http"),
    ] {
        let (mut host, mut stats) = (script(INBOUND), Stats::default());
        host.request.insert("content-type".into(), received.into());
        let mut recorder = recorder("{}", &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        host.facts.insert(Fact::ContentType, end.into());
        host.facts.insert(Fact::GrpcMessages, b"1,1".to_vec());
        recorder.on_log(&mut stream, &mut host, &mut stats);
        let labels = stats.labels(REQUESTS);
        assert!(labels.contains(&format!("request_protocol=.={wanted};.;")), "{labels}");
        let messages = stats.total("istio_request_messages_total");
        assert_eq!(messages, u64::from(wanted == "grpc"), "{received}");
    }
}

/// Istio's own exchange is no part of what its stats count either: the filter stands behind.
#[test]
fn sizes_are_without_the_headers_of_the_exchange() {
    let config = r#"{"metadata_exchange":{}}"#;
    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    let mut out = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::default();
    out.on_request(&mut stream, &mut host, &mut stats);
    let added = |headers: &std::collections::BTreeMap<String, Vec<u8>>| {
        headers.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>()
    };
    let request = added(&host.request);
    assert!(request > 0);
    out.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(stats.total("istio_request_bytes"), 2_000 - request);
    assert_eq!(stats.total("istio_response_bytes"), 3_000);

    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    host.request.insert(METADATA_HEADER.into(), client());
    let mut inside = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::default();
    inside.on_request(&mut stream, &mut host, &mut stats);
    inside.on_response(&mut stream, &mut host, &mut stats);
    let response = added(&host.response);
    assert!(response > 0);
    inside.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(stats.total("istio_request_bytes"), 2_000);
    assert_eq!(stats.total("istio_response_bytes"), 3_000 - response);
}

/// RBAC, a rate limit or JWT in front answers: the headers of the request never pass the filter, and are left alone.
#[test]
fn the_client_of_a_request_answered_before_is_known() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(METADATA_HEADER.into(), client());
    recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    assert!(stats.labels(REQUESTS).contains("source_workload=.=web-v1;.;"));
    assert_eq!(host.request.keys().collect::<Vec<_>>(), [METADATA_HEADER]);

    let (mut host, mut stats) = (script(OUTBOUND), Stats::default());
    let mut recorder = self::recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    host.request.insert(METADATA_HEADER.into(), client());
    recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    assert!(stats.labels(REQUESTS).contains("destination_workload=.=unknown;.;"));
}

/// Envoy deletes the filters of a request over HTTP/3 before it writes the log, of which they never hear.
#[test]
fn a_request_over_http3_is_recorded_when_it_is_deleted() {
    for (protocol, requests) in [("HTTP/3", 1), ("HTTP/2", 0)] {
        let (mut host, mut stats) = (script(INBOUND), Stats::default());
        host.attributes.insert("request.protocol".into(), protocol.into());
        let mut recorder = recorder("{}", &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        for _ in 0..2 {
            if recorder.is_unlogged(&stream, &mut host) {
                recorder.on_log(&mut stream, &mut host, &mut stats);
            }
        }
        assert_eq!(stats.total(REQUESTS), requests, "{protocol}");
    }
}

#[test]
fn the_status_of_grpc_over_http3_is_kept_from_the_trailers() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    host.attributes.insert("request.protocol".into(), b"HTTP/3".to_vec());
    host.request.insert("content-type".into(), b"application/grpc".to_vec());
    host.facts.insert(Fact::ContentType, b"application/grpc".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, &mut host, &mut stats);
    host.facts.insert(Fact::GrpcStatus, int(2));
    recorder.on_response(&mut stream, &mut host, &mut stats);
    host.facts.insert(Fact::GrpcStatus, int(5));
    recorder.on_response_trailers(&mut stream, &mut host);
    host.facts.insert(Fact::GrpcStatus, int(2));
    assert!(recorder.is_unlogged(&stream, &mut host));
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert!(stats.labels(REQUESTS).contains("grpc_response_status=.=5;.;"));
}

/// The first of two mounts exchanges, and publishes the peers for the other.
#[test]
fn of_two_mounts_one_exchanges() {
    let (mut host, mut stats) = (script(INBOUND), Stats::default());
    host.marks = Some([].into());
    host.request.insert(METADATA_HEADER.into(), client());
    let mut mounts =
        [r#"{"metadata_exchange":{}}"#, r#"{"metadata_exchange":{},"stat_prefix":"x"}"#]
            .map(|config| recorder(config, &mut host, &mut stats));
    let mut streams = [Stream::default(), Stream::default()];
    for (mount, stream) in mounts.iter_mut().zip(&mut streams) {
        mount.set_contested(true, true);
        mount.on_request(stream, &mut host, &mut stats);
    }
    assert!(host.request.is_empty());
    for (mount, stream) in mounts.iter_mut().zip(&mut streams).rev() {
        mount.on_response(stream, &mut host, &mut stats);
    }
    assert_eq!(host.response.len(), 1, "one answer to one header");
    mounts[0].on_log(&mut streams[0], &mut host, &mut stats);
    assert!(stats.labels(REQUESTS).contains("source_workload=.=web-v1;.;"));
    assert!(host.published.iter().any(|(name, _)| name == "downstream_peer"));
}

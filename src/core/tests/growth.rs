//! Streams that last: gRPC messages and TCP connections, reported from time to time and at the end.
#![cfg(not(target_arch = "wasm32"))]

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::peer::header::METADATA_HEADER;
use opmeter_core::{Recorder, Stream, configure};
use support::{Script, Stats, int};

const REQUESTS: &str = "istio_request_messages_total";
const RESPONSES: &str = "istio_response_messages_total";

fn recorder(config: &str, host: &mut Script, stats: &mut Stats) -> Recorder {
    let plan = configure(config.as_bytes(), host).expect("accepted").plan;
    Recorder::new(plan, host, stats)
}

fn outbound() -> Script {
    let facts = [(Fact::ListenerDirection, int(2)), (Fact::ClusterService, SERVICE.to_vec())];
    let request = [("content-type".to_owned(), b"application/grpc".to_vec())];
    Script { facts: facts.into(), request: request.into(), ..Script::default() }
}

/// `{'host': 'web'}` as Envoy encodes it.
const SERVICE: &[u8] = b"\x01\0\0\0\x04\0\0\0\x03\0\0\0host\0web\0";

fn messages(host: &mut Script, text: &str) {
    host.facts.insert(Fact::GrpcMessages, text.as_bytes().to_vec());
}

/// Has the timer call, in whose callback Envoy evaluates no expression for a stream.
fn tick(recorder: &mut Recorder, stream: &mut Stream, host: &mut Script, stats: &mut Stats) {
    host.timer = true;
    recorder.on_tick(stream, host, stats);
    host.timer = false;
}

#[test]
fn messages_are_counted_in_deltas() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, &mut host, &mut stats);
    for (text, requests, responses) in [("2,3", 2, 3), ("2,3", 2, 3), ("5,4", 5, 4)] {
        messages(&mut host, text);
        tick(&mut recorder, &mut stream, &mut host, &mut stats);
        assert_eq!((stats.total(REQUESTS), stats.total(RESPONSES)), (requests, responses));
    }
    messages(&mut host, "6,6");
    recorder.on_log(&mut stream, &mut host, &mut stats);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!((stats.total(REQUESTS), stats.total(RESPONSES)), (6, 6));
    assert_eq!(stats.labels(REQUESTS).matches("=.=").count(), 20);
}

#[test]
fn nothing_is_reported_before_the_answer_told_who_the_peer_is() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    let mut recorder = recorder(r#"{"metadata_exchange":{}}"#, &mut host, &mut stats);
    let mut stream = Stream::default();
    recorder.on_request(&mut stream, &mut host, &mut stats);
    messages(&mut host, "2,0");
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(stats.total(REQUESTS), 0);
    host.response.insert(METADATA_HEADER.into(), b"not metadata".to_vec());
    recorder.on_response(&mut stream, &mut host, &mut stats);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(stats.total(REQUESTS), 2);
}

#[test]
fn a_peer_nobody_told_of_is_reported_at_the_end() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::default();
    messages(&mut host, "2,1");
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(stats.total(REQUESTS), 0);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!((stats.total(REQUESTS), stats.total(RESPONSES)), (2, 1));
}

#[test]
fn a_request_without_messages_has_no_message_series() {
    for text in ["", "x", "1", "1,x", ",", "-1,2"] {
        let (mut host, mut stats) = (outbound(), Stats::default());
        messages(&mut host, text);
        let mut recorder = recorder("{}", &mut host, &mut stats);
        recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
        assert!(!stats.names.iter().any(|(_, name)| name.ends_with(REQUESTS)), "{text}");
        assert_eq!(stats.total("istio_requests_total"), 1);
    }
}

fn bytes(host: &mut Script, received: i64, sent: i64) {
    host.facts.insert(Fact::RequestBytes, int(received));
    host.facts.insert(Fact::ResponseBytes, int(sent));
}

fn tcp(stats: &Stats) -> [u64; 4] {
    ["connections_opened", "connections_closed", "received_bytes", "sent_bytes"]
        .map(|name| stats.total(&format!("istio_tcp_{name}_total")))
}

#[test]
fn a_connection_is_opened_once_grows_and_closes() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::UpstreamPeerSan, b"spiffe://cluster.local/ns/db/sa/mysql".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::connection();
    bytes(&mut host, 10, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 0, 10, 100]);
    bytes(&mut host, 15, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 0, 15, 100]);
    bytes(&mut host, 15, 250);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 1, 15, 250]);
    let labels = stats.labels("istio_tcp_sent_bytes_total");
    assert_eq!(labels.matches("=.=").count(), 23);
    assert!(labels.contains("request_protocol=.=tcp;.;"), "{labels}");
    assert!(labels.contains("destination_workload_namespace=.=db;.;"), "{labels}");
    assert_eq!(stats.total("istio_requests_total"), 0);
}

/// Bytes the proxy could not tell for once are not counted again.
#[test]
fn what_grows_never_counts_twice() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let (mut request, mut connection) = (Stream::default(), Stream::connection());
    for (text, received) in [("5,4", Some(100)), ("2,9", None), ("6,9", Some(150))] {
        messages(&mut host, text);
        host.facts.remove(&Fact::RequestBytes);
        host.facts.extend(received.map(|bytes| (Fact::RequestBytes, int(bytes))));
        tick(&mut recorder, &mut request, &mut host, &mut stats);
        tick(&mut recorder, &mut connection, &mut host, &mut stats);
    }
    recorder.on_log(&mut connection, &mut host, &mut stats);
    assert_eq!((stats.total(REQUESTS), stats.total(RESPONSES)), (6, 9));
    assert_eq!(tcp(&stats), [1, 1, 150, 0]);
}

#[test]
fn a_connection_keeps_the_labels_of_its_first_report() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::connection();
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    host.facts.insert(Fact::ResponseFlags, int(1 << 14));
    recorder.on_log(&mut stream, &mut host, &mut stats);
    let labels = stats.labels("istio_tcp_connections_closed_total");
    assert!(labels.contains("response_flags=.=-;.;"), "{labels}");
}

#[test]
fn a_connection_with_an_unknown_peer_is_reported_at_its_end() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    let mut stream = Stream::connection();
    bytes(&mut host, 10, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [0, 0, 0, 0]);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 1, 10, 100]);
}

/// A timer's callback cannot have the label, and a stream keeps its labels: better late than `unknown`.
#[test]
fn a_label_that_the_host_evaluates_is_waited_for() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    host.answers.insert("metadata.tier".to_owned(), b"front".to_vec());
    let config = r#"{"metrics":[{"dimensions":{"tier":"metadata.tier"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::connection();
    bytes(&mut host, 10, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [0, 0, 0, 0]);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 1, 10, 100]);
    let labels = stats.labels("istio_tcp_sent_bytes_total");
    assert!(labels.ends_with("tier=.=front;.;"), "{labels}");
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

/// What this module evaluates itself over attributes that are known early is there when the timer calls.
#[test]
fn a_native_label_is_reported_from_the_timer() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    host.attributes.insert("source.address".to_owned(), b"10.0.0.7:1".to_vec());
    host.attributes.insert("connection.mtls".to_owned(), vec![1]);
    host.attributes.insert("connection.requested_server_name".to_owned(), Vec::new());
    let config = r#"{"metrics":[
        {"dimensions":{"client":"source.address", "sni":"'<' + connection.requested_server_name + '>'"}},
        {"match":"!connection.mtls","dimensions":{"plain":"'yes'"}},
        {"match":"connection.mtls","dimensions":{"secure":"filter_state.upstream_peer.workload"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::connection();
    bytes(&mut host, 10, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 0, 10, 100]);
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 1, 10, 100]);
    let labels = stats.labels("istio_tcp_sent_bytes_total");
    let expected = "client=.=10.0.0.7:1;.;sni=.=<>;.;secure=.=w;.;";
    assert!(labels.ends_with(expected), "{labels}");
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

/// The upstream is chosen some time after the first report is due.
#[test]
fn a_native_label_that_comes_later_is_waited_for() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    let config = r#"{"metrics":[{"dimensions":{"to":"has(upstream.port) ? upstream.port : 0"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::connection();
    bytes(&mut host, 10, 100);
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [0, 0, 0, 0]);
    host.attributes.insert("upstream.port".to_owned(), int(8080));
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!(tcp(&stats), [1, 0, 10, 100]);
    assert!(stats.labels("istio_tcp_sent_bytes_total").ends_with("to=.=8080;.;"));
}

/// What comes with headers, at the end, or is derived there, is not known when the timer calls.
#[test]
fn a_native_label_of_the_end_is_waited_for() {
    for value in ["response.code", "request.method", "request.headers['a']", "late", "late + '!'"] {
        let (mut host, mut stats) = (outbound(), Stats::default());
        host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
        let config = format!(
            r#"{{"attributes":[
                {{"output_attribute":"early","phase":"ON_REQUEST","match":[{{"value":"e"}}]}},
                {{"output_attribute":"late","match":[{{"value":"l"}}]}}],
            "metrics":[{{"dimensions":{{"x":"{value}"}}}}]}}"#
        );
        let mut recorder = recorder(&config, &mut host, &mut stats);
        let mut stream = Stream::default();
        messages(&mut host, "2,1");
        tick(&mut recorder, &mut stream, &mut host, &mut stats);
        assert_eq!(stats.total(REQUESTS), 0, "{value}");
        recorder.on_log(&mut stream, &mut host, &mut stats);
        assert_eq!(stats.total(REQUESTS), 2, "{value}");
    }
}

/// Headers are gone when the timer calls: the host is remembered by the exchange, or waited for.
#[test]
fn a_host_that_stands_in_for_the_service_is_remembered_or_waited_for() {
    for (config, early) in [
        (r#"{"metadata_exchange":{}}"#, 2),
        ("{}", 0),
        (r#"{"disable_host_header_fallback":true}"#, 2),
        (
            r#"{"metrics":[{"tags_to_remove":["destination_service","destination_service_name"]}]}"#,
            2,
        ),
    ] {
        let (mut host, mut stats) = (outbound(), Stats::default());
        host.facts.remove(&Fact::ClusterService);
        host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
        host.facts.insert(Fact::Host, b"web".to_vec());
        host.request.insert("content-type".to_owned(), b"application/grpc".to_vec());
        let mut recorder = recorder(config, &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        recorder.on_response(&mut stream, &mut host, &mut stats);
        messages(&mut host, "2,1");
        tick(&mut recorder, &mut stream, &mut host, &mut stats);
        assert_eq!(stats.total(REQUESTS), early, "{config}");
        recorder.on_log(&mut stream, &mut host, &mut stats);
        assert_eq!(stats.total(REQUESTS), 2, "{config}");
        let labels = stats.labels(REQUESTS);
        let told = labels.contains("destination_service=.=web;.;");
        assert_eq!(
            told,
            !config.contains("destination_service") && !config.contains("true"),
            "{labels}"
        );
    }
}

/// Those of request metrics do not keep the others waiting.
#[test]
fn labels_of_other_metrics_are_not_waited_for() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
    host.answers.insert("metadata.tier".to_owned(), b"web".to_vec());
    let config = r#"{"metrics":[
        {"name":"requests_total","dimensions":{"host":"metadata.tier"}},
        {"dimensions":{"tier":"'front'"}}
    ]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    let mut stream = Stream::default();
    messages(&mut host, "2,1");
    tick(&mut recorder, &mut stream, &mut host, &mut stats);
    assert_eq!((stats.total(REQUESTS), stats.total(RESPONSES)), (2, 1));
    assert!(stats.labels(REQUESTS).ends_with("tier=.=front;.;"));
    recorder.on_log(&mut stream, &mut host, &mut stats);
    assert!(stats.labels("istio_requests_total").contains("host=.=web;.;"));
    assert_eq!(stats.total("opmeter_evaluation_errors_total"), 0);
}

#[test]
fn custom_metrics_count_connections_too() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    let config = r#"{"definitions":[{"name":"ended","value":"1"}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    recorder.on_log(&mut Stream::connection(), &mut host, &mut stats);
    recorder.on_log(&mut Stream::default(), &mut host, &mut stats);
    assert_eq!(stats.total("istio_ended"), 2);
}

#[test]
fn dimensions_of_requests_do_not_reach_connections() {
    let (mut host, mut stats) = (outbound(), Stats::default());
    let config = r#"{"metrics":[{"dimensions":{"response_code":"'teapot'","x":"'y'"}}]}"#;
    let mut recorder = recorder(config, &mut host, &mut stats);
    recorder.on_log(&mut Stream::connection(), &mut host, &mut stats);
    let labels = stats.labels("istio_tcp_connections_opened_total");
    assert!(!labels.contains("response_code"), "{labels}");
    assert!(labels.ends_with("x=.=y;.;"), "{labels}");
}

#[test]
fn without_metrics_of_lasting_streams_no_time_is_kept() {
    let mut host = outbound();
    let interval = |config: &str, host: &mut Script| {
        configure(config.as_bytes(), host).unwrap().plan.reporting_interval()
    };
    assert_eq!(interval("{}", &mut host), 5_000);
    assert_eq!(interval(r#"{"tcp_reporting_duration":"0s"}"#, &mut host), 0);
    assert_eq!(interval(r#"{"standard_metrics":false}"#, &mut host), 0);
}

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

/// `{host: "a.b"}`.
const SERVICE: &[u8] = b"\x01\0\0\0\x04\0\0\0\x03\0\0\0host\0a.b\0";

fn outbound() -> Script {
    let facts =
        [(Fact::ListenerDirection, int(2)), (Fact::ClusterService, SERVICE.to_vec())].into();
    Script { facts, ..Script::default() }
}

/// The timer fires, and expressions cannot be evaluated meanwhile.
fn tick(recorder: &mut Recorder, stream: &mut Stream, host: &mut Script, stats: &mut Stats) {
    host.timer = true;
    recorder.on_tick(stream, host, stats);
    host.timer = false;
}

fn messages(host: &mut Script, text: &str) {
    host.facts.insert(Fact::GrpcMessages, text.as_bytes().to_vec());
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
fn a_label_that_only_the_end_can_tell_is_waited_for() {
    let by_host = "{}";
    let by_expression = r#"{"metrics":[{"dimensions":{"x":"request.method"}}]}"#;
    for (config, service) in [(by_host, &b""[..]), (by_expression, SERVICE)] {
        let (mut host, mut stats) = (outbound(), Stats::default());
        host.facts.insert(Fact::EndpointWorkload, b"w;n;s;r;c".to_vec());
        host.facts.insert(Fact::ClusterService, service.to_vec());
        host.facts.insert(Fact::Host, b"ratings:9080".to_vec());
        host.answers.insert("request.method".to_owned(), b"POST".to_vec());
        let mut recorder = recorder(config, &mut host, &mut stats);
        let mut stream = Stream::default();
        messages(&mut host, "2,1");
        tick(&mut recorder, &mut stream, &mut host, &mut stats);
        assert_eq!(stats.total(REQUESTS), 0);
        recorder.on_log(&mut stream, &mut host, &mut stats);
        assert_eq!((stats.total(REQUESTS), stats.total("opmeter_evaluation_errors_total")), (2, 0));
        let labels = stats.labels(REQUESTS);
        let told = if service.is_empty() {
            "destination_service=.=ratings:9080;.;"
        } else {
            "x=.=POST;.;"
        };
        assert!(labels.contains(told), "{labels}");
    }
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

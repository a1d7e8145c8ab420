//! Entries of an access log against a scripted proxy.

mod support;

use opmeter_core::attribute::Fact;
use opmeter_core::{Recorder, Share, Stream, configure};
use support::{Script, Stats, int};

const OPERATIONS: &str = r#"{"attributes": [
    {"output_attribute": "op", "phase": "ON_REQUEST", "operations": [{"value": "user", "path": "/users/{id}"}]},
    {"output_attribute": "op", "phase": "ON_REQUEST", "operations": [{"value": "cart", "path": "/cart"}]}],
    "metrics": [{"dimensions": {"operation": "op"}}]}"#;
const PUBLISHED: &str = "'wasm.op' in filter_state ? filter_state['wasm.op'] : ''";

fn recorder(config: &str, host: &mut Script, stats: &mut Stats) -> Recorder {
    let configured = configure(config.as_bytes(), host).expect("the configuration is accepted");
    Recorder::new(configured.plan, host, stats)
}

fn entry(recorder: &mut Recorder, host: &mut Script, stats: &mut Stats) {
    recorder.on_entry(Share::All, host, stats);
}

fn request() -> Script {
    let facts = [
        (Fact::ResponseCode, int(200)),
        (Fact::Duration, int(5_900_000)),
        (Fact::Path, b"/users/7".to_vec()),
        (Fact::RequestBytes, int(100)),
        (Fact::ResponseBytes, int(2_000)),
    ];
    Script { facts: facts.into(), publishing_fails: true, ..Script::default() }
}

#[test]
fn every_entry_is_a_request_of_its_own() {
    let (mut host, mut stats) = (request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    entry(&mut recorder, &mut host, &mut stats);
    entry(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 2);
    assert_eq!(stats.total("istio_request_duration_milliseconds"), 10);
    assert_eq!(stats.total("istio_tcp_connections_opened_total"), 0);
}

/// What cannot be evaluated once is asked alone from then on; what the stream is has to be asked all the same.
#[test]
fn a_connection_is_none_after_a_request_nothing_could_be_told_of() {
    let (mut host, mut stats) = (request(), Stats::default());
    let mut recorder = recorder(r#"{"reporter":"SERVER_GATEWAY"}"#, &mut host, &mut stats);
    host.facts_fail = true;
    entry(&mut recorder, &mut host, &mut stats);
    (host.facts_fail, host.connection) = (false, true);
    entry(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 0);
    assert_eq!(stats.total("istio_tcp_connections_opened_total"), 1);
}

/// Envoy 1.40 hands over no such entry; one that did would otherwise count a request twice.
#[test]
fn an_entry_of_a_stream_that_lasts_is_not_recorded() {
    for connection in [false, true] {
        let (mut host, mut stats) = (request(), Stats::default());
        host.connection = connection;
        host.facts.remove(&Fact::Duration);
        let mut recorder = recorder("{}", &mut host, &mut stats);
        entry(&mut recorder, &mut host, &mut stats);
        assert_eq!(stats.total("istio_requests_total"), 0);
        assert_eq!(stats.total("istio_tcp_connections_opened_total"), 0);
    }
}

#[test]
fn a_connection_is_told_from_a_request_and_recorded_whole() {
    for lists_fail in [false, true] {
        let (mut host, mut stats) = (request(), Stats::default());
        host.connection = true;
        host.lists_fail = lists_fail;
        let mut recorder = recorder("{}", &mut host, &mut stats);
        entry(&mut recorder, &mut host, &mut stats);
        assert_eq!(stats.total("istio_requests_total"), 0);
        assert_eq!(stats.total("istio_tcp_connections_opened_total"), 1);
        assert_eq!(stats.total("istio_tcp_connections_closed_total"), 1);
        assert_eq!(stats.total("istio_tcp_received_bytes_total"), 100);
        assert_eq!(stats.total("istio_tcp_sent_bytes_total"), 2_000);
    }
}

const CALLS: &str = r#"{"definitions":[{"name":"calls","value":"1"}]}"#;

#[test]
fn a_connection_is_recorded_by_the_first_mount() {
    // The same configuration again records nothing, another one what is its own.
    const OTHER: &str = r#"{"definitions":[{"name":"others","value":"1"}]}"#;
    for (second, others) in [(CALLS, 0), (OTHER, 1)] {
        let (mut host, mut stats) = (request(), Stats::default());
        host.connection = true;
        host.marks = Some([].into());
        host.publishing_fails = false;
        let mut filter = recorder(CALLS, &mut host, &mut stats);
        filter.on_log(&mut Stream::connection(), &mut host, &mut stats);
        recorder(second, &mut host, &mut stats).on_entry(Share::All, &mut host, &mut stats);
        assert_eq!(stats.total("istio_tcp_connections_opened_total"), 1);
        assert_eq!(stats.total("opmeter_duplicate_streams_total"), 1);
        assert_eq!((stats.total("istio_calls"), stats.total("istio_others")), (1, others));
    }
}

#[test]
fn a_request_is_recorded_as_far_as_it_is_left_to_a_mount() {
    for (share, requests, calls) in
        [(Share::All, 1, 1), (Share::Definitions, 0, 1), (Share::Nothing, 0, 0)]
    {
        let (mut host, mut stats) = (request(), Stats::default());
        let mut recorder = recorder(CALLS, &mut host, &mut stats);
        for _ in 0..3 {
            recorder.on_entry(share, &mut host, &mut stats);
        }
        assert_eq!(stats.total("istio_requests_total"), 3 * requests, "{share:?}");
        assert_eq!(stats.total("istio_calls"), 3 * calls, "{share:?}");
        let duplicates = 3 * u64::from(share != Share::All);
        assert_eq!(stats.total("opmeter_duplicate_streams_total"), duplicates, "{share:?}");
    }
}

#[test]
fn a_list_that_fails_does_not_make_a_request_a_connection() {
    let (mut host, mut stats) = (request(), Stats::default());
    host.lists_fail = true;
    let mut recorder = recorder("{}", &mut host, &mut stats);
    entry(&mut recorder, &mut host, &mut stats);
    assert_eq!(stats.total("istio_requests_total"), 1);
    assert_eq!(stats.total("istio_response_bytes"), 2_000);
}

/// What the filter has found wins over what would be found now; a value nobody knows is none.
#[test]
fn attributes_of_the_request_phase_are_the_filters() {
    for (published, label) in
        [("cart", "cart"), ("user", "user"), ("nosuch", "unknown"), ("", "user")]
    {
        let (mut host, mut stats) = (request(), Stats::default());
        host.answers.insert(PUBLISHED.to_owned(), published.as_bytes().to_vec());
        let mut recorder = recorder(OPERATIONS, &mut host, &mut stats);
        entry(&mut recorder, &mut host, &mut stats);
        let labels = stats.labels("istio_requests_total");
        assert!(labels.contains(&format!("operation=.={label};.;")), "{published}: {labels}");
        assert_eq!(stats.total("opmeter_host_errors_total"), 0, "nothing is published");
    }
}

#[test]
fn a_known_label_set_costs_one_evaluation_and_one_call_per_metric() {
    let (mut host, mut stats) = (request(), Stats::default());
    let mut recorder = recorder("{}", &mut host, &mut stats);
    entry(&mut recorder, &mut host, &mut stats);
    let (evaluations, calls) = (host.evaluations, stats.calls);
    entry(&mut recorder, &mut host, &mut stats);
    assert_eq!((host.evaluations - evaluations, stats.calls - calls), (1, 4));
}

/// A filter without metrics of its own shows others the peers of its exchange.
#[test]
fn a_filter_without_metrics_publishes_its_peers() {
    use opmeter_core::Stream;
    use opmeter_core::peer::LabelNames;
    use opmeter_core::peer::header::{LocalNode, encode};
    let node = LocalNode { workload: b"cart", ..LocalNode::default() };
    let header = encode(&node, &LabelNames::new::<&str>([]));
    for (config, published) in [
        (r#"{"metadata_exchange": {}, "standard_metrics": false}"#, 1),
        (r#"{"metadata_exchange": {}}"#, 0),
    ] {
        let (mut host, mut stats) = (request(), Stats::default());
        host.publishing_fails = false;
        host.facts.insert(Fact::ListenerDirection, int(1));
        host.request.insert("x-envoy-peer-metadata".to_owned(), header.clone());
        let mut recorder = recorder(config, &mut host, &mut stats);
        let mut stream = Stream::default();
        recorder.on_request(&mut stream, &mut host, &mut stats);
        recorder.on_log(&mut stream, &mut host, &mut stats);
        assert_eq!(host.published.len(), published, "{config}");
        assert!(host.published.iter().all(|(name, _)| name == "downstream_peer"));
    }
}

//! The delivered module against its host: how often it calls, how it takes refusals, what it keeps.

use support::case::{Case, Connection, Side, read_all};
use support::cel::status;
use support::module;
use support::wasm_host::{Mangle, WasmHost};

const OPERATIONS: &str = r#"{
    "attributes": [{"output_attribute": "op", "match": [{"value": "get", "condition": "request.method == 'GET'"}]}],
    "metrics": [{"dimensions": {"operation": "op"}}]}"#;

fn case(config: &str) -> Case {
    let text = format!("name = \"n\"\nrule = \"r\"\nconfig = '''{config}'''");
    toml::from_str(&text).unwrap()
}

/// A configured VM.
fn host(case: &Case) -> WasmHost {
    let mut host = WasmHost::new(module::bytes(), case).unwrap();
    assert!(host.configure().unwrap(), "{:?}", host.state().log);
    host
}

fn stream(host: &mut WasmHost, case: &Case) {
    host.stream(case, &case.requests[0]).unwrap();
}

fn value(host: &WasmHost, name: &str) -> Option<f64> {
    let series = host.state().metrics.series();
    let found: Vec<f64> = series.iter().filter(|s| s.name == name).map(|s| s.value).collect();
    assert!(found.len() <= 1, "{} series of {name}", found.len());
    found.first().copied()
}

#[test]
fn a_known_label_set_costs_one_batch_and_one_call_per_metric() {
    let case = case("{}");
    let mut host = host(&case);
    stream(&mut host, &case);
    host.state_mut().calls.clear();
    stream(&mut host, &case);
    let calls: Vec<(&str, u64)> =
        host.state().calls.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let expected = [
        ("proxy_call_foreign_function", 1),
        ("proxy_get_header_map_value", 1),
        ("proxy_get_metric", 1),
        ("proxy_increment_metric", 1),
        ("proxy_record_metric", 3),
    ];
    assert_eq!(calls, expected);
}

/// The calls that one more of the same costs.
fn cost_of_one_more(host: &mut WasmHost, one: impl Fn(&mut WasmHost)) -> Vec<(String, u64)> {
    (0..300).for_each(|_| one(host));
    host.state_mut().calls.clear();
    one(host);
    host.state().calls.clone().into_iter().collect()
}

fn calls(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn an_entry_of_a_request_costs_one_batch_and_one_call_per_metric() {
    let case = case("{}");
    let mut host = host(&case);
    let expected = calls(&[
        ("proxy_call_foreign_function", 1),
        ("proxy_get_metric", 1),
        ("proxy_increment_metric", 1),
        ("proxy_record_metric", 3),
    ]);
    assert_eq!(cost_of_one_more(&mut host, |host| host.entries(&case).unwrap()), expected);
}

/// The first call finds out that it is no request; then the mark of another mount is looked for.
#[test]
fn an_entry_of_a_connection_costs_five_calls_and_one_per_metric() {
    let mut case = case("{}");
    case.connections = vec![Connection::default()];
    let mut host = host(&case);
    let expected = calls(&[
        ("proxy_call_foreign_function", 2),
        ("proxy_get_metric", 1),
        ("proxy_get_property", 1),
        ("proxy_increment_metric", 4),
        ("proxy_set_property", 1),
    ]);
    assert_eq!(cost_of_one_more(&mut host, |host| host.entries(&case).unwrap()), expected);
}

#[test]
fn an_access_logger_without_metrics_asks_for_nothing() {
    let case = case(r#"{"standard_metrics": false}"#);
    let mut host = host(&case);
    assert_eq!(cost_of_one_more(&mut host, |host| host.entries(&case).unwrap()), []);
}

/// With the exchange, between a client and an upstream that both tell who they are.
fn exchanging(config: &str) -> Case {
    let mut case = case(config);
    case.side = Side::Gateway;
    let request = r#"
        [peer]
        id = "client"
        node = { WORKLOAD_NAME = "cart" }"#;
    case.requests = vec![toml::from_str(request).unwrap()];
    case
}

/// Filter: the cluster to exchange with, and whether it is gRPC; per message two headers read, removed where they were, set
/// where they go; then as without the exchange.
#[test]
fn the_exchange_costs_no_batch_but_its_headers() {
    let case = exchanging(r#"{"metadata_exchange": {}}"#);
    let mut host = host(&case);
    let found = cost_of_one_more(&mut host, |host| stream(host, &case));
    let expected = calls(&[
        ("proxy_call_foreign_function", 1),
        ("proxy_get_header_map_value", 5),
        ("proxy_get_metric", 2),
        ("proxy_get_property", 2),
        ("proxy_increment_metric", 1),
        ("proxy_record_metric", 3),
        ("proxy_remove_header_map_value", 2),
        ("proxy_replace_header_map_value", 4),
    ]);
    assert_eq!(found, expected);
}

/// A mount that counts nothing leaves its peers to whoever does; both mounts of one plugin count once.
#[test]
fn two_mounts_in_one_vm_count_once() {
    let case = exchanging(r#"{"metadata_exchange": {}}"#);
    let mut host = host(&case);
    for _ in 0..10 {
        host.logged_stream(&case, &case.requests[0]).unwrap();
    }
    assert_eq!(value(&host, "istio_requests_total"), Some(10.0));
    assert_eq!(value(&host, "opmeter_config_errors_total"), Some(1.0));
    let lines: Vec<&str> = host.state().log.iter().map(|line| line.text.as_str()).collect();
    let warning = "mounted several times for the same requests: the first mount of each records the standard metrics, this \
        access logger leaves them out; \"standard_metrics\": false in a configuration leaves them to another mount";
    assert_eq!(lines, [warning]);
    // An entry of somebody else's stream is not taken for one of these.
    host.entries(&case).unwrap();
    assert_eq!(value(&host, "istio_requests_total"), Some(11.0));
}

#[test]
fn memory_does_not_grow_with_entries() {
    let case = case(OPERATIONS);
    let mut host = host(&case);
    (0..300).for_each(|_| host.entries(&case).unwrap());
    let before = host.memory_bytes();
    (0..2_000).for_each(|_| host.entries(&case).unwrap());
    assert_eq!(host.memory_bytes(), before);
    assert_eq!(value(&host, "istio_requests_total"), Some(2_300.0));
}

#[test]
fn a_name_is_defined_once() {
    let case = case(OPERATIONS);
    let mut host = host(&case);
    for _ in 0..20 {
        stream(&mut host, &case);
    }
    let mut names = host.state().metrics.names().to_vec();
    let defined = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), defined);
}

#[test]
fn memory_does_not_grow_with_streams() {
    let case = case(OPERATIONS);
    let mut host = host(&case);
    for _ in 0..50 {
        stream(&mut host, &case);
    }
    let before = host.memory_bytes();
    for _ in 0..2_000 {
        stream(&mut host, &case);
    }
    assert_eq!(host.memory_bytes(), before);
    assert_eq!(value(&host, "istio_requests_total"), Some(2_050.0));
}

#[test]
fn a_metric_the_proxy_refuses_is_tried_again() {
    let case = case("{}");
    let mut host = host(&case);
    host.state_mut().inject.insert("proxy_define_metric".to_owned(), status::INTERNAL_FAILURE);
    stream(&mut host, &case);
    assert_eq!(value(&host, "istio_requests_total"), None);
    assert_eq!(value(&host, "opmeter_host_errors_total"), Some(4.0));
    host.state_mut().inject.clear();
    stream(&mut host, &case);
    assert_eq!(value(&host, "istio_requests_total"), Some(1.0));
    assert_eq!(value(&host, "opmeter_host_errors_total"), Some(4.0));
}

#[test]
fn what_the_proxy_refused_is_told_by_call() {
    let case = case("{}");
    let mut host = host(&case);
    assert_eq!(value(&host, "opmeter_host_errors_record_metric_total"), None);
    host.state_mut().inject.insert("proxy_record_metric".to_owned(), status::INTERNAL_FAILURE);
    stream(&mut host, &case);
    // Three histograms; counters are incremented.
    assert_eq!(value(&host, "opmeter_host_errors_record_metric_total"), Some(3.0));
    assert_eq!(value(&host, "opmeter_host_errors_total"), Some(3.0));
    assert_eq!(value(&host, "opmeter_host_errors_define_metric_total"), None);
}

/// A stream that lasts, with the exchange on.
fn lasting() -> Case {
    let mut case = case(
        r#"{
        "attributes": [{"output_attribute": "op", "match": [{"value": "get", "condition": "request.method == 'GET'"}]}],
        "metrics": [{"dimensions": {"operation": "op"}}], "metadata_exchange": {}}"#,
    );
    case.side = Side::Gateway;
    let request = r#"
        grpc = true
        messages = 2
        ticks = [{ so_far = [1, 0], answered = false }, { so_far = [2, 1] }]
        [peer]
        id = "client"
        node = { WORKLOAD_NAME = "cart" }"#;
    case.requests = vec![toml::from_str(request).unwrap()];
    case
}

#[test]
fn the_timer_is_asked_for_once_and_speaks_of_streams() {
    let case = lasting();
    let mut host = host(&case);
    assert_eq!(host.state().tick_period, Some(5_000));
    stream(&mut host, &case);
    assert_eq!(host.state().calls["proxy_set_tick_period_milliseconds"], 1);
    assert_eq!(value(&host, "istio_request_messages_total"), Some(2.0));
    assert_eq!(value(&host, "opmeter_host_errors_total"), Some(0.0));
}

#[test]
fn without_the_exchange_no_header_is_touched() {
    let mut case = lasting();
    case.config = OPERATIONS.to_owned();
    let mut host = host(&case);
    stream(&mut host, &case);
    let calls = &host.state().calls;
    let touched = ["remove", "replace", "add"].map(|how| format!("proxy_{how}_header_map_value"));
    assert!(!touched.iter().any(|call| calls.contains_key(call)), "{calls:?}");
}

#[test]
fn memory_does_not_grow_with_peers() {
    let mut case = case(r#"{"metadata_exchange": {"max_peers": 100}}"#);
    case.side = Side::Inbound;
    let mut host = host(&case);
    let mut peers = |range: std::ops::Range<usize>| {
        for n in range {
            let peer = format!("node = {{ WORKLOAD_NAME = \"cart\", NAME = \"cart-{n}\" }}");
            case.requests[0].peer = Some(toml::from_str(&peer).unwrap());
            stream(&mut host, &case);
        }
        host.memory_bytes()
    };
    let full = peers(0..500);
    assert_eq!(peers(500..1_500), full);
}

/// The statuses a host may answer, known to the ABI or not.
#[test]
fn no_status_of_any_call_harms_the_module() {
    let calls = [
        "proxy_call_foreign_function",
        "proxy_define_metric",
        "proxy_get_buffer_bytes",
        "proxy_get_header_map_value",
        "proxy_get_log_level",
        "proxy_get_metric",
        "proxy_get_property",
        "proxy_increment_metric",
        "proxy_record_metric",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_set_effective_context",
        "proxy_set_property",
        "proxy_set_tick_period_milliseconds",
    ];
    for call in calls {
        for status in (1..=13).chain([u32::MAX]) {
            let case = lasting();
            let mut failing = WasmHost::new(module::bytes(), &case).unwrap();
            failing.state_mut().inject.insert(call.to_owned(), status);
            let accepted = failing.configure().unwrap();
            assert!(accepted, "{call} answers {status}");
            stream(&mut failing, &case);
            let mut later = host(&case);
            later.state_mut().inject.insert(call.to_owned(), status);
            stream(&mut later, &case);
        }
    }
}

/// Requests and connections, with everything that is read of them.
fn all_about() -> Case {
    let mut case = case(
        r#"{
        "attributes": [
            {"output_attribute": "op", "match": [{"value": "get", "condition": "request.method == 'GET'"}]},
            {"output_attribute": "route", "phase": "ON_REQUEST", "operations": [{"path": "/{a}"}, {"path": "/{a}/{b}"}]}],
        "definitions": [{"name": "mine", "value": "response.code", "type": "HISTOGRAM"}],
        "metrics": [{"dimensions": {"operation": "op", "route": "route", "x": "request.headers['x']", "y": "response.flags",
            "peer": "filter_state.upstream_peer.labels['role']"}, "match": "response.code > 0"}],
        "limits": {"max_series": 100, "max_values_per_dimension": 20, "max_label_bytes": 64},
        "prewarm": {}, "metadata_exchange": {"additional_labels": ["role"]}}"#,
    );
    let lasting = lasting();
    case.side = lasting.side;
    case.requests = lasting.requests;
    case
}

/// Properties that are absent, of another type or of another length; header values and node metadata likewise.
#[test]
fn values_of_any_shape_are_counted_and_do_no_harm() {
    for (seed, case) in (1..).zip([all_about(), lasting(), case(OPERATIONS), case("{}")]) {
        let mut host = host(&case);
        host.state_mut().mangle = Some(Mangle::new(seed * 7919));
        const STREAMS: u32 = 250;
        for _ in 0..STREAMS {
            stream(&mut host, &case);
        }
        host.state_mut().mangle = None;
        stream(&mut host, &case);
        let total = |name: &str| {
            let all = host.state().metrics.series();
            all.iter().filter(|s| s.name == name).map(|s| s.value).sum::<f64>()
        };
        assert_eq!(total("istio_requests_total"), f64::from(STREAMS + 1), "{}", case.config);
        assert_eq!(total("istio_request_bytes_count"), f64::from(STREAMS + 1));
        for name in host.state().metrics.names() {
            assert!(name.chars().all(|c| !c.is_control()), "{name:?}");
            assert_eq!(name.matches(";.;").count(), name.matches("=.=").count(), "{name:?}");
        }
    }
}

#[test]
fn connections_of_any_shape_are_counted_and_do_no_harm() {
    let mut case = case("{}");
    case.connections = vec![toml::from_str("received_bytes = 3").unwrap()];
    let mut host = host(&case);
    host.state_mut().mangle = Some(Mangle::new(99));
    for _ in 0..250 {
        host.connection(&case, &case.connections[0]).unwrap();
    }
    let all = host.state().metrics.series();
    let total = |name: &str| all.iter().filter(|s| s.name == name).map(|s| s.value).sum::<f64>();
    assert_eq!(total("istio_tcp_connections_opened_total"), 250.0);
    assert_eq!(total("istio_tcp_connections_closed_total"), 250.0);
}

#[test]
fn a_node_of_any_shape_does_no_harm() {
    let case = all_about();
    for seed in 0..30 {
        let mut host = WasmHost::new(module::bytes(), &case).unwrap();
        host.state_mut().mangle = Some(Mangle::new(seed * 104_729));
        host.configure().unwrap();
        stream(&mut host, &case);
    }
}

/// Label sets of a proxy: how many there may be is one number for all its workers.
#[test]
fn workers_keep_one_budget() {
    let config =
        r#"{"limits": {"max_series": 16}, "metrics": [{"dimensions": {"x": "request.path"}}]}"#;
    let mut case = case(config);
    let (mut one, mut other) = (host(&case), WasmHost::new(module::bytes(), &case).unwrap());
    other.state_mut().shared = one.state().shared.clone();
    assert!(other.configure().unwrap());
    for path in 0..40 {
        case.requests[0].path = format!("/{path}");
        stream(&mut one, &case);
        case.requests[0].path = format!("/{}", 60 - path);
        stream(&mut other, &case);
    }
    let requests = |host: &WasmHost| -> Vec<support::series::Series> {
        let all = host.state().metrics.series();
        all.into_iter().filter(|s| s.name == "istio_requests_total").collect()
    };
    let (first, second) = (requests(&one), requests(&other));
    let sum = |all: &[support::series::Series]| all.iter().map(|s| s.value).sum::<f64>();
    assert_eq!((sum(&first), sum(&second)), (40.0, 40.0));
    let mut sets: Vec<_> = first.iter().chain(&second).map(|s| s.labels.clone()).collect();
    sets.sort();
    sets.dedup();
    assert_eq!(sets.len(), 15, "an eighth of 16 is for folded sets, of which there is one");
    let told = value(&one, "opmeter_series").unwrap() + value(&other, "opmeter_series").unwrap();
    assert_eq!(told, 15.0);
}

#[test]
fn a_label_set_that_found_no_room_costs_no_call_either() {
    let config =
        r#"{"limits": {"max_series": 8}, "metrics": [{"dimensions": {"x": "request.path"}}]}"#;
    let mut case = case(config);
    let mut host = host(&case);
    let mut at = |path: usize| {
        case.requests[0].path = format!("/{path}");
        host.state_mut().calls.clear();
        stream(&mut host, &case);
        host.state().calls.clone()
    };
    (0..8).for_each(|path| drop(at(path)));
    let known = at(0);
    let mut folded = at(100);
    // Of the overflow it tells as well.
    *folded.get_mut("proxy_increment_metric").unwrap() -= 1;
    assert_eq!(folded, known);
}

#[test]
fn proxies_share_nothing() {
    let case = case(OPERATIONS);
    let (mut one, mut other) = (host(&case), host(&case));
    stream(&mut one, &case);
    stream(&mut one, &case);
    stream(&mut other, &case);
    assert_eq!(value(&one, "istio_requests_total"), Some(2.0));
    assert_eq!(value(&other, "istio_requests_total"), Some(1.0));
}

#[test]
fn what_the_proxy_would_not_print_is_not_sent() {
    let case = case(r#"{"metrics": [{"name": "nosuch"}]}"#);
    let lines = |level: i32| {
        let mut host = WasmHost::new(module::bytes(), &case).unwrap();
        host.state_mut().log_level = level;
        assert!(host.configure().unwrap());
        host.state().log.len()
    };
    const WARN: i32 = 3;
    const ERROR: i32 = 4;
    assert_eq!((lines(WARN), lines(ERROR)), (1, 0));
}

#[test]
fn every_case_of_the_corpus_can_be_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    assert!(read_all(&folder).unwrap().len() >= 240);
}

//! The module as access logger, alone and beside itself as filter.

use crate::labels::{request, with};
use crate::real_envoy;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use support::app::{App, Twice};
use support::envoy::Envoy;
use support::http;
use support::mesh::{Log, Pair, Sidecar, TCP_LISTENER};
use support::scrape::Scrape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REQUESTS: &str = "istio_requests_total";
const DURATIONS: &str = "istio_request_duration_milliseconds_count";
const OPENED: &str = "istio_tcp_connections_opened_total";
const CLOSED: &str = "istio_tcp_connections_closed_total";
const SENT: &str = "istio_tcp_sent_bytes_total";
const RECEIVED: &str = "istio_tcp_received_bytes_total";

/// Of the filter, when the access logger is to count.
const EXCHANGE: &str = r#"{
    "metadata_exchange": {}, "standard_metrics": false,
    "attributes": [{ "output_attribute": "op", "phase": "ON_REQUEST", "match": [
        { "value": "early", "condition": "!has(response.code)" }, { "value": "late", "condition": "true" }] }]
}"#;
/// Of the access logger beside it.
const OPERATIONS: &str = r#"{
    "attributes": [{ "output_attribute": "op", "phase": "ON_REQUEST", "match": [
        { "value": "late", "condition": "has(response.code)" }, { "value": "early", "condition": "true" }] }],
    "metrics": [{ "dimensions": { "operation": "op", "peer": "filter_state.upstream_peer.workload" } }]
}"#;

/// Several entries while a request or connection of these tests lasts.
const INTERVAL: &str = "0.05s";

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "ratings:9080").body(Full::default()).expect("a request")
}

async fn ask(proxy: &Envoy, count: usize) {
    for _ in 0..count {
        assert_eq!(http::call(proxy.traffic_port, get("/items")).await.unwrap().status(), 200);
    }
}

/// A sidecar of productpage that only logs.
fn logging(upstream: u16, log: Log) -> Sidecar {
    let mut sidecar = Sidecar::productpage(upstream);
    sidecar.filter = false;
    sidecar.log = Some(log);
    sidecar
}

fn warnings(proxy: &Envoy) -> usize {
    proxy.log().unwrap().matches("mounted several times").count()
}

async fn no_errors(proxy: &Envoy) {
    let scrape = Scrape::of(proxy).await.unwrap();
    assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
    assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
}

async fn pair(envoy: &Path, app: &App, filter: &str, log: &Log) -> Pair {
    let (mut client, mut server) = (Sidecar::productpage(0), Sidecar::ratings(app.port));
    for sidecar in [&mut client, &mut server] {
        filter.clone_into(&mut sidecar.config);
        sidecar.log = Some(log.clone());
        sidecar.dimensions = vec!["operation".to_owned(), "peer".to_owned()];
    }
    Pair::start(envoy, client, &server).await.unwrap()
}

#[tokio::test]
async fn the_filter_exchanges_and_the_logger_counts() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    for vm in ["", "another"] {
        let log = Log { vm_id: vm.to_owned(), ..Log::new(OPERATIONS) };
        let pair = pair(&envoy, &app, EXCHANGE, &log).await;
        ask(&pair.client, 3).await;
        for (proxy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
            let scrape = Scrape::when(proxy, REQUESTS, 3.0).await.unwrap();
            // Who answers, only a client learns from the exchange.
            let peer = if reporter == "source" { "ratings-v1" } else { "unknown" };
            let labels = with(&request(reporter), &[("operation", "early"), ("peer", peer)]);
            assert_eq!(scrape.labels(REQUESTS), &labels, "vm {vm:?}");
            Scrape::when(proxy, DURATIONS, 3.0).await.unwrap();
            no_errors(proxy).await;
            assert_eq!(warnings(proxy), 0);
        }
    }
}

/// Without a filter nothing is published, and the attribute is found when the request is over.
#[tokio::test]
async fn a_logger_alone_finds_attributes_of_the_request_phase_at_the_end() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = logging(app.port, Log::new(OPERATIONS));
    sidecar.dimensions = vec!["operation".to_owned(), "peer".to_owned()];
    let proxy = sidecar.start(&envoy).await.unwrap();
    ask(&proxy, 2).await;
    let scrape = Scrape::when(&proxy, REQUESTS, 2.0).await.unwrap();
    assert_eq!(scrape.labels(REQUESTS)["operation"], "late");
    no_errors(&proxy).await;
}

#[tokio::test]
async fn in_one_vm_the_filter_counts_and_says_so() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let with_metrics = r#"{"metadata_exchange": {}}"#;
    // One root context for both, and one for each.
    for config in [with_metrics, "{}"] {
        let pair = pair(&envoy, &app, with_metrics, &Log::new(config)).await;
        ask(&pair.client, 20).await;
        for (proxy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
            let scrape = Scrape::when(proxy, REQUESTS, 20.0).await.unwrap();
            assert_eq!(scrape.labels(REQUESTS), &request(reporter));
            Scrape::when(proxy, DURATIONS, 20.0).await.unwrap();
            assert_eq!(warnings(proxy), 1);
            assert_eq!(scrape.total("opmeter_config_errors_total"), 1.0);
            no_errors(proxy).await;
        }
    }
}

#[tokio::test]
async fn in_two_vms_the_filter_counts_too() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let log = Log { vm_id: "another".to_owned(), ..Log::new("{}") };
    let pair = pair(&envoy, &app, "{}", &log).await;
    ask(&pair.client, 20).await;
    let scrape = Scrape::when(&pair.client, REQUESTS, 20.0).await.unwrap();
    Scrape::when(&pair.client, DURATIONS, 20.0).await.unwrap();
    assert_eq!(scrape.total("opmeter_duplicate_streams_total"), 20.0);
    assert_eq!(warnings(&pair.client), 1);
    assert_eq!(scrape.total("opmeter_config_errors_total"), 1.0);
}

/// Listeners without the filter are nobody else's.
#[tokio::test]
async fn what_the_filter_does_not_see_the_logger_counts() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = Sidecar::productpage(app.port);
    sidecar.tcp_upstream = Some(twice.port);
    r#"{"standard_metrics": false}"#.clone_into(&mut sidecar.tcp_config);
    "{}".clone_into(&mut sidecar.config);
    sidecar.log = Some(Log::new("{}"));
    let proxy = sidecar.start(&envoy).await.unwrap();
    drop(talk(&proxy, 10).await);
    let scrape = Scrape::when(&proxy, CLOSED, 1.0).await.unwrap();
    assert_eq!(scrape.total(RECEIVED), 10.0);
    assert_eq!(warnings(&proxy), 0);
}

/// Sends `n` bytes and takes the `2 n` that come back.
async fn talk(proxy: &Envoy, n: usize) -> TcpStream {
    let port = proxy.port_of(TCP_LISTENER).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut stream, n).await;
    stream
}

async fn say(stream: &mut TcpStream, n: usize) {
    stream.write_all(&vec![b'x'; n]).await.unwrap();
    stream.read_exact(&mut vec![0; 2 * n]).await.unwrap();
}

/// An HTTP/1.1 server that takes its time, several flush intervals, and answers 200.
async fn slow() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _request = stream.read(&mut buffer).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            });
        }
    });
    port
}

/// Envoy writes entries when a request begins and while it lasts; modules get the last one only.
#[tokio::test]
async fn a_request_with_several_entries_counts_once() {
    let Some(envoy) = real_envoy() else { return };
    let options = json!({
        "flush_access_log_on_new_request": true, "access_log_flush_interval": INTERVAL,
    });
    let log = Log { http_options: options, ..Log::new("{}") };
    let proxy = logging(slow().await, log).start(&envoy).await.unwrap();
    ask(&proxy, 2).await;
    for metric in [REQUESTS, DURATIONS] {
        let scrape = Scrape::when(&proxy, metric, 2.0).await.unwrap();
        assert_eq!(scrape.all(metric).len(), 1);
    }
    let scrape = Scrape::of(&proxy).await.unwrap();
    assert_eq!(scrape.labels(REQUESTS)["response_code"], "200");
    assert!(scrape.total("istio_request_duration_milliseconds_sum") >= 600.0);
    no_errors(&proxy).await;
}

#[tokio::test]
async fn a_connection_with_several_entries_counts_once() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let options = json!({
        "flush_access_log_on_connected": true, "access_log_flush_interval": INTERVAL,
    });
    let mut sidecar = logging(1, Log { tcp_options: options, ..Log::new("{}") });
    sidecar.tcp_upstream = Some(twice.port);
    let proxy = sidecar.start(&envoy).await.unwrap();
    let mut stream = talk(&proxy, 1_000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    say(&mut stream, 234).await;
    assert!(Scrape::of(&proxy).await.unwrap().all(OPENED).is_empty());
    drop(stream);
    for (metric, total) in [(OPENED, 1.0), (CLOSED, 1.0), (RECEIVED, 1_234.0), (SENT, 2_468.0)] {
        let scrape = Scrape::when(&proxy, metric, total).await.unwrap();
        assert_eq!(scrape.labels(metric)["request_protocol"], "tcp");
    }
    no_errors(&proxy).await;
}

/// The network filter tells them while they last, so the access logger has nothing to add.
#[tokio::test]
async fn connections_of_both_mounts_count_once() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let mut sidecar = Sidecar::productpage(1);
    sidecar.tcp_upstream = Some(twice.port);
    sidecar.log = Some(Log::new("{}"));
    let proxy = sidecar.start(&envoy).await.unwrap();
    // Many that end together.
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(talk(&proxy, 10).await);
    }
    drop(streams);
    for (metric, total) in [(OPENED, 50.0), (CLOSED, 50.0), (RECEIVED, 500.0), (SENT, 1_000.0)] {
        Scrape::when(&proxy, metric, total).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let scrape = Scrape::of(&proxy).await.unwrap();
    assert_eq!(scrape.total(CLOSED), 50.0);
    assert_eq!(scrape.total("opmeter_duplicate_streams_total"), 50.0);
}

/// What is no HTTP, and a request of which only half arrives, have an entry too: of a request, not of a connection.
#[tokio::test]
async fn a_request_that_cannot_be_read_counts_as_one() {
    let Some(envoy) = real_envoy() else { return };
    for both in [false, true] {
        let mut sidecar = logging(1, Log::new("{}"));
        sidecar.filter = both;
        let proxy = sidecar.start(&envoy).await.unwrap();
        for (bytes, total) in
            [(&b"\x00\x01 no http\r\n\r\n"[..], 1.0), (b"GET / HTTP/1.1\r\nhos", 2.0)]
        {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.traffic_port)).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            Scrape::when(&proxy, REQUESTS, total).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let scrape = Scrape::of(&proxy).await.unwrap();
        assert_eq!(scrape.total(REQUESTS), 2.0);
        assert!(scrape.all(OPENED).is_empty());
    }
}

/// A listener writes an entry for each connection, with the protocol of its requests; what broke off before it was a whole
/// request is one, without a response.
#[tokio::test]
async fn a_connection_of_requests_is_no_request() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let log = Log { of_listener: true, ..Log::new("{}") };
    let proxy = logging(app.port, log).start(&envoy).await.unwrap();
    let mut partial = TcpStream::connect(("127.0.0.1", proxy.traffic_port)).await.unwrap();
    partial.write_all(b"GET /items HTTP/1.1\r\nho").await.unwrap();
    ask(&proxy, 3).await;
    drop(partial);
    let closing = b"GET /items HTTP/1.1\r\nhost: ratings:9080\r\nconnection: close\r\n\r\n";
    http::raw(proxy.traffic_port, closing).await.unwrap();
    Scrape::when(&proxy, REQUESTS, 5.0).await.unwrap();
    // The entries of the connections come when they are closed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let scrape = Scrape::when(&proxy, REQUESTS, 5.0).await.unwrap();
    let count = |code: &str| {
        let all = scrape.all(REQUESTS).into_iter();
        all.filter(|series| series.labels["response_code"] == code).map(|s| s.value).sum::<f64>()
    };
    assert_eq!((count("200"), count("0")), (4.0, 1.0));
    assert_eq!(scrape.total(OPENED), 0.0);
    no_errors(&proxy).await;
}

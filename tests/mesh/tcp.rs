//! TCP connections through both sidecars, with the module as a network filter.

use crate::labels::{Labels, peers, with, without_destination, without_source};
use crate::real_envoy;
use std::path::Path;
use std::time::Duration;
use support::app::{App, Twice};
use support::mesh::{Accepts, Certificates, PRODUCTPAGE, Pair, RATINGS, Sidecar, TCP_LISTENER};
use support::scrape::Scrape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OPENED: &str = "istio_tcp_connections_opened_total";
const CLOSED: &str = "istio_tcp_connections_closed_total";
const SENT: &str = "istio_tcp_sent_bytes_total";
const RECEIVED: &str = "istio_tcp_received_bytes_total";

/// Several reports within a test, and none at all.
const OFTEN: &str = r#"{"tcp_reporting_duration":"0.1s"}"#;
const AT_THE_END: &str = r#"{"tcp_reporting_duration":"600s"}"#;

async fn pair(envoy: &Path, twice: &Twice, mutual_tls: bool, config: &str) -> Pair {
    let app = App::start(&[]).await.unwrap();
    let mut client = Sidecar::productpage(0);
    let mut server = Sidecar::ratings(app.port);
    server.tcp_upstream = Some(twice.port);
    config.clone_into(&mut client.tcp_config);
    config.clone_into(&mut server.tcp_config);
    if mutual_tls {
        let ends = Certificates::new(PRODUCTPAGE, RATINGS).unwrap();
        server.accepts = Accepts::MutualTls(ends.other_end());
        client.connects = Some(ends);
    }
    Pair::start(envoy, client, &server).await.unwrap()
}

async fn connect(pair: &Pair) -> TcpStream {
    let port = pair.client.port_of(TCP_LISTENER).await.unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends `n` bytes and takes the `2 n` that come back.
async fn say(stream: &mut TcpStream, n: usize) {
    stream.write_all(&vec![b'x'; n]).await.unwrap();
    stream.read_exact(&mut vec![0; 2 * n]).await.unwrap();
}

/// The 23 labels of a connection.
fn connection(reporter: &str, mutual_tls: bool) -> Labels {
    let policy = match (reporter, mutual_tls) {
        ("source", _) => "unknown",
        (_, true) => "mutual_tls",
        (_, false) => "none",
    };
    let labels = with(
        &peers(reporter),
        &[
            ("request_protocol", "tcp"),
            ("response_flags", "-"),
            ("connection_security_policy", policy),
        ],
    );
    let principals = [("source_principal", PRODUCTPAGE), ("destination_principal", RATINGS)];
    let labels = if mutual_tls { with(&labels, &principals) } else { labels };
    match (reporter, mutual_tls) {
        ("source", true) => {
            with(&without_destination(&labels), &[("destination_workload_namespace", "shop")])
        }
        ("source", false) => without_destination(&labels),
        (_, true) => with(&without_source(&labels), &[("source_workload_namespace", "default")]),
        (_, false) => without_source(&labels),
    }
}

async fn expect(pair: &Pair, mutual_tls: bool, opened: f64, closed: f64, received: f64, sent: f64) {
    for (proxy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
        let labels = connection(reporter, mutual_tls);
        let metrics = [(OPENED, opened), (RECEIVED, received), (SENT, sent), (CLOSED, closed)];
        for (metric, total) in metrics {
            let scrape = Scrape::when(proxy, metric, total).await.unwrap();
            assert_eq!(scrape.labels(metric), &labels, "{metric}");
        }
        let scrape = Scrape::of(proxy).await.unwrap();
        assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
        assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
    }
}

/// Received is what the client sent, sent is what it got, whoever reports (Istio); what TLS adds is no part of it.
#[tokio::test]
async fn a_connection_is_told_at_its_end() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    for mutual_tls in [true, false] {
        let pair = pair(&envoy, &twice, mutual_tls, AT_THE_END).await;
        let mut stream = connect(&pair).await;
        say(&mut stream, 1000).await;
        say(&mut stream, 234).await;
        drop(stream);
        expect(&pair, mutual_tls, 1.0, 1.0, 1234.0, 2468.0).await;
        let mut stream = connect(&pair).await;
        say(&mut stream, 6).await;
        drop(stream);
        expect(&pair, mutual_tls, 2.0, 2.0, 1240.0, 2480.0).await;
    }
}

#[tokio::test]
async fn a_connection_is_told_while_it_lasts() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let pair = pair(&envoy, &twice, true, OFTEN).await;
    let mut stream = connect(&pair).await;
    say(&mut stream, 100_000).await;
    expect(&pair, true, 1.0, 0.0, 100_000.0, 200_000.0).await;
    say(&mut stream, 5).await;
    expect(&pair, true, 1.0, 0.0, 100_005.0, 200_010.0).await;
    say(&mut stream, 7).await;
    drop(stream);
    expect(&pair, true, 1.0, 1.0, 100_012.0, 200_024.0).await;
}

/// An endpoint that is described makes the server known without a certificate.
#[tokio::test]
async fn a_described_endpoint_is_a_known_peer() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let mut client = Sidecar::productpage(twice.port);
    client.tcp_upstream = Some(twice.port);
    OFTEN.clone_into(&mut client.tcp_config);
    client.endpoint_workload = Some("ratings-v1;shop;ratings-service;r2;server-cluster".to_owned());
    let proxy = client.start(&envoy).await.unwrap();
    let port = proxy.port_of(TCP_LISTENER).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut stream, 10).await;
    let scrape = Scrape::when(&proxy, OPENED, 1.0).await.unwrap();
    let known = [
        ("destination_workload", "ratings-v1"),
        ("destination_workload_namespace", "shop"),
        ("destination_canonical_service", "ratings-service"),
        ("destination_canonical_revision", "r2"),
        ("destination_cluster", "server-cluster"),
    ];
    assert_eq!(scrape.labels(OPENED), &with(&connection("source", false), &known));
    assert!(scrape.all(CLOSED).iter().all(|series| series.value == 0.0));
}

/// A connection whose label at the server is `expression`, of which ten bytes have passed; the other sidecar has told.
async fn labelled(envoy: &Path, expression: &str) -> (Pair, TcpStream, Twice) {
    let twice = Twice::start().await.unwrap();
    let ends = Certificates::new(PRODUCTPAGE, RATINGS).unwrap();
    let mut client = Sidecar::productpage(0);
    client.connects = Some(ends.clone());
    OFTEN.clone_into(&mut client.tcp_config);
    let mut server = Sidecar::ratings(twice.port);
    server.accepts = Accepts::MutualTls(ends.other_end());
    server.tcp_upstream = Some(twice.port);
    server.dimensions = vec!["tls".to_owned()];
    server.tcp_config = format!(
        r#"{{"tcp_reporting_duration": "0.1s", "metrics": [{{"dimensions": {{"tls": "{expression}"}}}}]}}"#
    );
    let pair = Pair::start(envoy, client, &server).await.unwrap();
    let mut stream = connect(&pair).await;
    say(&mut stream, 10).await;
    Scrape::when(&pair.client, RECEIVED, 10.0).await.unwrap();
    (pair, stream, twice)
}

/// From a timer Envoy evaluates no expression for a connection, so its label is waited for.
#[tokio::test]
async fn a_label_that_envoy_evaluates_is_told_at_the_end() {
    let Some(envoy) = real_envoy() else { return };
    let (pair, stream, _upstream) = labelled(&envoy, "[connection.tls_version][0]").await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(Scrape::of(&pair.server).await.unwrap().all(OPENED).is_empty());
    drop(stream);
    let scrape = Scrape::when(&pair.server, CLOSED, 1.0).await.unwrap();
    let labels = with(&connection("destination", true), &[("tls", "TLSv1.2")]);
    assert_eq!(scrape.labels(RECEIVED), &labels);
    assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
}

/// What the module evaluates over what a connection has from its beginning is told while it lasts.
#[tokio::test]
async fn a_label_that_the_module_evaluates_is_told_from_the_timer() {
    let Some(envoy) = real_envoy() else { return };
    let (pair, stream, _upstream) = labelled(&envoy, "connection.tls_version").await;
    let scrape = Scrape::when(&pair.server, RECEIVED, 10.0).await.unwrap();
    let labels = with(&connection("destination", true), &[("tls", "TLSv1.2")]);
    assert_eq!(scrape.labels(RECEIVED), &labels);
    assert!(scrape.all(CLOSED).iter().all(|series| series.value == 0.0));
    drop(stream);
    let scrape = Scrape::when(&pair.server, CLOSED, 1.0).await.unwrap();
    assert_eq!(scrape.labels(RECEIVED), &labels);
    assert_eq!(scrape.total("opmeter_evaluation_errors_total"), 0.0);
}

/// Nobody listens: the connection counts all the same, and says why it failed.
#[tokio::test]
async fn a_connection_that_fails_is_told_with_its_flags() {
    let Some(envoy) = real_envoy() else { return };
    let mut client = Sidecar::productpage(1);
    client.tcp_upstream = Some(1);
    let proxy = client.start(&envoy).await.unwrap();
    let port = proxy.port_of(TCP_LISTENER).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
    let scrape = Scrape::when(&proxy, CLOSED, 1.0).await.unwrap();
    let labels = with(&connection("source", false), &[("response_flags", "UF,URX")]);
    for (metric, total) in [(OPENED, 1.0), (CLOSED, 1.0), (SENT, 0.0), (RECEIVED, 0.0)] {
        assert_eq!(scrape.total(metric), total, "{metric}");
        assert_eq!(scrape.labels(metric), &labels, "{metric}");
    }
}

/// Without a certificate nobody is known, nor is going to be once the connections are there.
#[tokio::test]
async fn a_connection_from_nobody_known_is_reported_while_it_lasts() {
    let Some(envoy) = real_envoy() else { return };
    let twice = Twice::start().await.unwrap();
    let pair = pair(&envoy, &twice, false, OFTEN).await;
    let mut stream = connect(&pair).await;
    say(&mut stream, 10).await;
    for proxy in [&pair.client, &pair.server] {
        for (metric, total) in [(OPENED, 1.0), (RECEIVED, 10.0), (SENT, 20.0)] {
            let scrape = Scrape::when(proxy, metric, total).await.unwrap();
            assert_eq!(scrape.total(CLOSED), 0.0, "{metric}");
        }
    }
    drop(stream);
    expect(&pair, false, 1.0, 1.0, 10.0, 20.0).await;
}

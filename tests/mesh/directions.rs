//! Sidecars with listeners of every direction that share one configuration, as under a resource without a side.
//!
//! Whichever direction has the first streams, in each worker: the exchange goes by the direction of the stream.

use crate::labels::{Labels, request, with};
use crate::real_envoy;
use std::path::Path;
use support::app::App;
use support::case::Side;
use support::envoy::{self, Envoy};
use support::http;
use support::mesh::{Beside, Pair, Sidecar, Updates};
use support::scrape::Scrape;
use tokio::net::TcpListener;

const WORKERS: u32 = 2;
const REQUESTS: &str = "istio_requests_total";
const HEADERS: &str = "x-envoy-peer-metadata";

/// The filter as written in each listener, and as discovered by all of them.
const SOURCES: [Updates; 2] = [Updates::None, Updates::Filter];

/// Asks for a path in each worker; what was answered.
async fn ask(port: u16, path: &str) -> Vec<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: ratings:9080\r\n\r\n");
    let answers = http::side_by_side(port, WORKERS, request.as_bytes(), b"\r\n\r\nok").await;
    let answers = answers.unwrap().into_iter();
    answers.map(|answer| String::from_utf8(answer).unwrap().to_lowercase()).collect()
}

/// Has the first streams of an Envoy be of one direction.
async fn begin(envoy: &Envoy, first: Side) {
    ask(envoy.port_of(&first.to_string()).await.unwrap(), "/first").await;
    Scrape::when(envoy, REQUESTS, f64::from(WORKERS)).await.unwrap();
}

/// Calls ratings; neither the caller nor the application sees a header of the exchange.
async fn call(entry: u16, app: &App, first: Side) {
    for answer in [ask(entry, "/items").await, ask(entry, "/items").await].concat() {
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(!answer.contains(HEADERS), "{first} first: the caller got {answer}");
    }
    for (target, headers) in app.targets().iter().zip(app.requests()) {
        let seen = headers.keys().any(|name| name.as_str().starts_with(HEADERS));
        assert!(!seen || target != "/items", "{first} first: the application got {headers:?}");
    }
}

/// Waits until there are `total` requests, and expects those of [`call`] under these labels.
async fn expect(envoy: &Envoy, total: u32, expected: &[Labels], first: Side) {
    let scrape = Scrape::when(envoy, REQUESTS, f64::from(total)).await.unwrap();
    let found = scrape.all(REQUESTS);
    for labels in expected {
        let series = found.iter().find(|series| series.labels == *labels);
        let count = series.map(|series| series.value);
        assert_eq!(count, Some(f64::from(2 * WORKERS)), "{first} first: {labels:#?} in {found:#?}");
    }
    assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
}

/// The listeners have one plugin where Envoy lets directions share it: a configuration is accepted by the main thread, the
/// base VM and each worker. Older ones keep a plugin for each direction.
async fn expect_shared(envoy: &Envoy, binary: &Path) {
    let scrape = Scrape::of(envoy).await.unwrap();
    let accepted = scrape.total("opmeter_config_accepted_total");
    if envoy::version(binary).unwrap() >= (1, 40) {
        assert_eq!(accepted, f64::from(2 + WORKERS));
    } else {
        assert!(accepted >= f64::from(2 + WORKERS), "{accepted}");
    }
}

fn shared(mut sidecar: Sidecar, updates: Updates, application: u16, inbound_port: u16) -> Sidecar {
    sidecar.workers = WORKERS;
    sidecar.updates = updates;
    sidecar.beside = Some(Beside { application, inbound_port });
    sidecar
}

/// What is told of productpage when it calls itself.
fn of_itself(reporter: &str) -> Labels {
    let peer = [
        ("destination_workload", "productpage-v1"),
        ("destination_workload_namespace", "default"),
        ("destination_app", "productpage"),
        ("destination_version", "v1"),
        ("destination_canonical_service", "productpage-service"),
        ("destination_canonical_revision", "r1"),
        ("destination_cluster", "client-cluster"),
    ];
    let labels = with(&request(reporter), &peer);
    // At the destination the service is in the namespace of the proxy, whatever the cluster's metadata says.
    let own = [("destination_service_namespace", "default")];
    if reporter == "destination" { with(&labels, &own) } else { labels }
}

/// productpage's outbound listener before its inbound one.
async fn one_envoy(binary: &Path, updates: Updates, first: Side) {
    let app = App::start(&[]).await.unwrap();
    let inbound = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = inbound.local_addr().unwrap().port();
    drop(inbound);
    let sidecar = shared(Sidecar::productpage(port), updates, app.port, port);
    let envoy = sidecar.start(binary).await.unwrap();
    begin(&envoy, first).await;
    call(envoy.traffic_port, &app, first).await;
    let expected = ["source", "destination"].map(of_itself);
    expect(&envoy, WORKERS + 2 * 2 * WORKERS, &expected, first).await;
    expect_shared(&envoy, binary).await;
}

/// productpage's sidecar before that of ratings, both with listeners of every direction.
async fn two_envoys(binary: &Path, updates: Updates, first: Side) {
    let app = App::start(&[]).await.unwrap();
    let [client, server] = [Sidecar::productpage(0), Sidecar::ratings(app.port)]
        .map(|sidecar| shared(sidecar, updates, app.port, 0));
    let pair = Pair::start(binary, client, &server).await.unwrap();
    for envoy in [&pair.client, &pair.server] {
        begin(envoy, first).await;
    }
    call(pair.client.traffic_port, &app, first).await;
    for (envoy, reporter) in [(&pair.client, "source"), (&pair.server, "destination")] {
        expect(envoy, WORKERS + 2 * WORKERS, &[request(reporter)], first).await;
        expect_shared(envoy, binary).await;
    }
}

#[tokio::test]
async fn one_envoy_of_all_directions_tells_all_of_both_sides() {
    let Some(binary) = real_envoy() else { return };
    for updates in SOURCES {
        for first in Side::ALL {
            one_envoy(&binary, updates, first).await;
        }
    }
}

#[tokio::test]
async fn two_envoys_of_all_directions_tell_all_of_both_workloads() {
    let Some(binary) = real_envoy() else { return };
    for updates in SOURCES {
        for first in Side::ALL {
            two_envoys(&binary, updates, first).await;
        }
    }
}

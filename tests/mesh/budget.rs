//! The series budget on a real Envoy with two workers, and what an update of the listener makes of it.

use crate::real_envoy;
use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::ops::Range;
use support::app::App;
use support::envoy::Envoy;
use support::mesh::{Sidecar, Updates};
use support::scrape::Scrape;
use tokio::net::TcpStream;

const CONNECTIONS: usize = 8;
/// What every request has one of.
const PER_REQUEST: [&str; 4] = [
    "istio_requests_total",
    "istio_request_bytes_count",
    "istio_response_bytes_count",
    "istio_request_duration_milliseconds_count",
];

fn config(max_series: usize) -> String {
    let limits = format!(r#"{{"max_series":{max_series}}}"#);
    format!(r#"{{"limits":{limits},"metrics":[{{"dimensions":{{"path":"request.path"}}}}]}}"#)
}

fn sidecar(upstream: u16, max_series: usize) -> Sidecar {
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.workers = 2;
    sidecar.config = config(max_series);
    sidecar.dimensions = vec!["path".to_owned()];
    // Without a service of its own a cluster's requests are told by their host.
    sidecar.istio_metadata = serde_json::json!({});
    sidecar
}

/// Sends each path once on one connection.
async fn send(port: u16, paths: Range<usize>, host: &str) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for path in paths {
        let request =
            Request::get(format!("/{path}")).header("host", host).body(Full::<Bytes>::default())?;
        let response = client.send_request(request).await?;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await?;
    }
    Ok(())
}

/// Sends each path on each of several connections at the same time, which the kernel spreads over the workers.
async fn flood(proxy: &Envoy, paths: Range<usize>) -> f64 {
    let port = proxy.traffic_port;
    let clients = (0..CONNECTIONS).map(|_| tokio::spawn(send(port, paths.clone(), "ratings")));
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap().unwrap();
    }
    (CONNECTIONS * paths.len()) as f64
}

/// A scrape in which every metric has counted every request.
async fn complete(proxy: &Envoy, requests: f64) -> Scrape {
    for metric in PER_REQUEST {
        Scrape::when(proxy, metric, requests).await.unwrap();
    }
    Scrape::of(proxy).await.unwrap()
}

/// The values of `path`, and how much those that are `overflow` have counted.
fn paths(scrape: &Scrape) -> (Vec<&str>, f64) {
    let all = scrape.all("istio_requests_total");
    let (folded, exact): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|series| series.labels["path"] == "overflow");
    let paths = exact.into_iter().map(|series| series.labels["path"].as_str()).collect();
    (paths, folded.iter().map(|series| series.value).sum())
}

#[tokio::test]
async fn two_workers_keep_one_budget() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = sidecar(app.port, 24).start(&envoy).await.unwrap();
    let mut sent = flood(&proxy, 0..60).await;
    let scrape = complete(&proxy, sent).await;
    let (exact, folded) = paths(&scrape);
    // An eighth of 24 is for folded sets, of which there is one: all other labels are the same.
    assert_eq!(exact.len(), 21, "{exact:?}");
    assert_eq!(scrape.total("opmeter_series"), 22.0);
    assert_eq!(scrape.all("istio_requests_total").len(), 22);
    assert_eq!(folded, sent - 21.0 * CONNECTIONS as f64);
    assert_eq!(scrape.total("opmeter_series_overflow_total"), folded);
    assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
    // Hosts are values that anybody can make up: they fold next, and the budget holds.
    for host in 0..40 {
        send(proxy.traffic_port, 100..101, &format!("host-{host}")).await.unwrap();
    }
    sent += 40.0;
    let scrape = complete(&proxy, sent).await;
    assert_eq!(scrape.total("opmeter_series"), scrape.all("istio_requests_total").len() as f64);
    assert!(scrape.total("opmeter_series") <= 24.0);
    assert_eq!(paths(&scrape).0.len(), 21);
    let known =
        |series: &&support::series::Series| series.labels["destination_service"] == "overflow";
    assert!(scrape.all("istio_requests_total").iter().any(known));
}

/// Whatever an update says, the proxy's workers go on in the same VMs, or new ones of the same module, and the series
/// that are there stay and count.
#[tokio::test]
async fn an_update_of_the_listener_keeps_the_budget() {
    let Some(envoy) = real_envoy() else { return };
    let app = App::start(&[]).await.unwrap();
    let mut sidecar = sidecar(app.port, 16);
    sidecar.updates = Updates::Listener;
    let proxy = sidecar.start(&envoy).await.unwrap();
    let mut sent = flood(&proxy, 0..40).await;
    let before = complete(&proxy, sent).await;
    let (known, _) = paths(&before);
    assert_eq!((known.len(), before.total("opmeter_series")), (14, 15.0));
    // Room for two more: those that are known do not count again.
    sidecar.config = config(18);
    sidecar.update(&proxy).unwrap();
    let port = proxy.traffic_port;
    Scrape::when(&proxy, "envoy_listener_manager_listener_modified", 1.0).await.unwrap();
    Scrape::when(&proxy, "envoy_listener_manager_total_listeners_draining", 0.0).await.unwrap();
    assert_eq!(proxy.port_of("entry").await.unwrap(), port);
    sent += flood(&proxy, 0..40).await;
    let after = complete(&proxy, sent).await;
    let (paths_after, folded) = paths(&after);
    assert!(known.iter().all(|path| paths_after.contains(path)), "{known:?} in {paths_after:?}");
    assert_eq!((paths_after.len(), after.total("opmeter_series")), (15, 16.0));
    assert_eq!(after.total("opmeter_series_overflow_total"), folded);
    assert_eq!(after.all("istio_requests_total").len(), 16);
}

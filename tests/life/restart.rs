//! A proxy that drains, and one that is followed by another, under load.

use crate::real_envoy;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::counter::Counter;
use support::load::Load;
use support::mesh::{Sidecar, Updates};
use support::scrape::Scrape;

const PATHS: [&str; 2] = ["/items", "/elsewhere"];
const CONNECTIONS: usize = 6;

fn sidecar(upstream: u16) -> Sidecar {
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.workers = 2;
    sidecar
}

fn as_f64(count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "requests of a test")]
    let count = count as f64;
    count
}

/// First connections are told to close, then nobody listens any more: what was answered until then was counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_loses_nothing() {
    let Some(envoy) = real_envoy() else { return };
    let app = Counter::start().await.unwrap();
    let mut sidecar = sidecar(app.port);
    sidecar.updates = Updates::Listener;
    let proxy = sidecar.start(&envoy).await.unwrap();
    let load = Load::start(proxy.traffic_port, CONNECTIONS, &PATHS);
    load.wait_for(2_000).await.unwrap();
    proxy.admin("/healthcheck/fail").await.unwrap();
    load.wait_for(load.answered() + 500).await.unwrap();
    // From here on the proxy's other listener is closed as well; the admin still tells.
    proxy.admin("/drain_listeners?graceful&inboundonly").await.unwrap();
    for _ in 0..400 {
        if load.is_over() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(load.is_over(), "it still listens");
    let sent = load.stop().await.unwrap();
    assert_eq!((sent.other_than(200), sent.refused), (0, CONNECTIONS as u64), "{sent:?}");
    assert!(sent.closed >= CONNECTIONS as u64, "{sent:?}");
    let arrived: u64 = PATHS.iter().map(|path| app.of(path)).sum();
    assert_eq!(arrived, sent.total());
    for metric in ["istio_requests_total", "istio_request_duration_milliseconds_count"] {
        Scrape::when(&proxy, metric, as_f64(sent.total())).await.unwrap();
    }
}

/// Every request is answered by the one or by the other, and our counters go over as Envoy's own do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_restart_loses_nothing() {
    let Some(envoy) = real_envoy() else { return };
    let app = Counter::start().await.unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let sidecar = sidecar(app.port);
    let mut proxy = sidecar.start_first(&envoy, port).await.unwrap();
    let load = Load::start(port, CONNECTIONS, &PATHS);
    load.wait_for(2_000).await.unwrap();
    let first = proxy.id();
    let parent = proxy.restart(&envoy, sidecar.workers).await.unwrap();
    assert_ne!(proxy.id(), first);
    parent.ended().await.unwrap();
    load.wait_for(load.answered() + 2_000).await.unwrap();
    let sent = load.stop().await.unwrap();
    assert_eq!((sent.other_than(200), sent.refused), (0, 0), "{sent:?}");
    let arrived: u64 = PATHS.iter().map(|path| app.of(path)).sum();
    assert_eq!(arrived, sent.total());
    // The successor is given what the first one had not flushed yet, of our counters as of Envoy's own.
    const OWN: &str = "envoy_http_entry_downstream_rq_completed";
    let deadline = Instant::now() + Duration::from_secs(5);
    // A client has its answer a little before it is counted.
    let scrape = loop {
        let scrape = Scrape::of(&proxy).await.unwrap();
        let (own, ours) = (scrape.total(OWN), scrape.total("istio_requests_total"));
        if own == ours {
            break scrape;
        }
        assert!(Instant::now() < deadline, "Envoy counts {own}, we {ours}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let counted = scrape.total(OWN);
    assert!(counted > 2_000.0 && counted <= as_f64(sent.total()), "{counted}, not {sent:?}");
    assert_eq!(scrape.all("istio_requests_total").len(), 1, "{}", scrape.text);
    assert_eq!(scrape.total("opmeter_series"), 1.0);
}

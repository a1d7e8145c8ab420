//! A scrape as Prometheus' own client library reads it: what this repository's tests read from one, they read right.

use http_body_util::Full;
use hyper::Request;
use support::app::App;
use support::http;
use support::mesh::{Sidecar, metadata};
use support::scrape::Scrape;
use support::second_reader::{python, read};
use support::series::Series;

/// The module's samples, in an order that both readers agree on. The library renames Envoy's own counters, whose names do
/// not end in `_total`.
fn ours(series: &[Series]) -> Vec<String> {
    let ours =
        series.iter().filter(|s| s.name.starts_with("istio_") || s.name.starts_with("opmeter_"));
    let mut lines: Vec<String> = ours.map(ToString::to_string).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn both_readers_find_the_same_series() {
    let envoy = support::envoy::binary().expect("an Envoy");
    let (Some(envoy), Some(python)) = (envoy, python()) else { return };
    let app = App::start(&[]).await.unwrap();
    let proxy = Sidecar::ratings(app.port).start(&envoy).await.unwrap();
    let workloads = [
        "a\"b",
        "back\\slash",
        "back\\\"both\\\\",
        "line\nbreak",
        "literal\\n",
        "comma,and=\"equals\"",
        "brace{x=\"y\"} 7",
        "# TYPE forged counter",
        "日本語 ☃ \u{202e}",
        "tab\tand\rreturn",
        " space ",
        "w;.;reporter=.=source;.;",
    ];
    for workload in workloads {
        let request = Request::get("/items")
            .header("host", "ratings")
            .header("x-envoy-peer-metadata", metadata(&[("WORKLOAD_NAME", workload)]))
            .body(Full::default())
            .unwrap();
        assert_eq!(http::call(proxy.traffic_port, request).await.unwrap().status(), 200);
    }
    let sent = workloads.len() as f64;
    Scrape::when(&proxy, "istio_requests_total", sent).await.unwrap();
    // Histograms appear when Envoy merges them.
    let scrape = Scrape::when(&proxy, "istio_request_bytes_count", sent).await.unwrap();
    assert_eq!(scrape.all("istio_requests_total").len(), workloads.len());
    let read = read(&python, &scrape.text);
    assert_eq!(read.len(), scrape.series().len());
    let (read, found) = (ours(&read), ours(scrape.series()));
    // Per workload a counter, and three histograms of 20 buckets, a sum and a count.
    assert!(found.len() > workloads.len() * (1 + 3 * 22), "{} samples", found.len());
    assert_eq!(read.len(), found.len());
    for (read, found) in read.iter().zip(&found) {
        assert_eq!(read, found);
    }
}

//! Envoy's statistics sinks carry the module's metrics with their labels: what arrives equals what a scrape shows.

use crate::{get, with_collector, with_statsd};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use support::app::App;
use support::envoy::Envoy;
use support::http;
use support::otlp::Amount;
use support::scrape::Scrape;
use support::stat;
use support::statsd::{Received, Statsd};

/// The metrics that are compared: a counter, a histogram, a gauge.
const COUNTER: &str = "istio_requests_total";
const HISTOGRAM: &str = "istio_request_bytes";
const GAUGE: &str = "istio_build";
/// What names begin with, as `envoy/sinks` has it.
const PREFIX: &str = "envoy.wasmcustom.";

/// Longest wait for what was sent to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

type Labels = BTreeMap<String, String>;
/// Value of a counter or gauge; count and sum of a histogram.
type Totals = BTreeMap<Labels, (f64, f64)>;

/// `server-sidecar.yaml` with a sink of `envoy/sinks`, after traffic of three operations.
async fn after_traffic(binary: &Path, sink: &str, moved: (u16, u16)) -> (Envoy, App) {
    let app = App::start(&[]).await.unwrap();
    let overlay = format!("sinks/{sink}.yaml");
    let (file, moved) = ("server-sidecar.yaml", [moved]);
    let proxy = Envoy::shipped(binary, file, Some(&overlay), app.port, &moved).await.unwrap();
    for (method, count) in [("GET", 3), ("POST", 2), ("PUT", 1)] {
        for _ in 0..count {
            let mut request = get("/items", &[]);
            *request.method_mut() = method.parse().unwrap();
            assert_eq!(http::call(proxy.traffic_port, request).await.unwrap().status(), 200);
        }
    }
    (proxy, app)
}

/// What a scrape shows of the three metrics, once all requests are counted.
async fn scraped(proxy: &Envoy) -> [Totals; 3] {
    Scrape::when(proxy, COUNTER, 6.0).await.unwrap();
    let scrape = Scrape::when(proxy, &format!("{HISTOGRAM}_count"), 6.0).await.unwrap();
    let values = |name: &str| -> BTreeMap<Labels, f64> {
        scrape.all(name).into_iter().map(|s| (labels(&s.labels), s.value)).collect()
    };
    let plain = |name: &str| values(name).into_iter().map(|(l, value)| (l, (value, 0.0))).collect();
    let sums = values(&format!("{HISTOGRAM}_sum"));
    let counts = values(&format!("{HISTOGRAM}_count"));
    let histogram = counts.into_iter().map(|(l, count)| (l.clone(), (count, sums[&l]))).collect();
    let totals: [Totals; 3] = [plain(COUNTER), histogram, plain(GAUGE)];
    // The test would be empty otherwise.
    let operations: Vec<_> =
        totals[0].iter().map(|(l, (n, _))| (l["request_operation"].as_str(), *n)).collect();
    assert_eq!(operations, [("create_items", 2.0), ("get_items", 3.0), ("unknown", 1.0)]);
    assert_eq!(totals[0].keys().next().unwrap()["destination_workload"], "ratings-v1");
    totals
}

/// Without those that are empty: sinks may leave them out, and to Prometheus they are none.
fn labels(all: &Labels) -> Labels {
    let told = all.iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Waits until what has arrived is what is expected.
async fn arrives(expected: &[Totals; 3], mut arrived: impl FnMut() -> [Totals; 3]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let differences = differences(expected, &arrived());
        if differences.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{differences:#?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sums may differ a little: Envoy's histograms, and so the scrape, know values to two digits, statsd exactly.
fn differences(expected: &[Totals; 3], arrived: &[Totals; 3]) -> Vec<String> {
    let mut differences = Vec::new();
    for (expected, arrived) in expected.iter().zip(arrived) {
        for labels in expected.keys().chain(arrived.keys()) {
            let (want, have) = (expected.get(labels), arrived.get(labels));
            let same = want.zip(have).is_some_and(|((count, sum), (other, total))| {
                count == other && (sum - total).abs() <= 0.05 * sum
            });
            if !same {
                differences.push(format!("{want:?} expected, {have:?} arrived: {labels:?}"));
            }
        }
    }
    differences
}

#[tokio::test]
async fn dogstatsd_has_labels_as_tags() {
    let Some((envoy, server)) = with_statsd().await else { return };
    let (proxy, _app) = after_traffic(&envoy, "dogstatsd", (8125, server.port)).await;
    let expected = scraped(&proxy).await;
    arrives(&expected, || by_name(&server.received(), tagged)).await;
    understood(&server);
}

/// Plain statsd has no labels: the names tell, as long as no value holds a `:`.
#[tokio::test]
async fn statsd_has_labels_inside_names() {
    let Some((envoy, server)) = with_statsd().await else { return };
    let (proxy, _app) = after_traffic(&envoy, "statsd", (8125, server.port)).await;
    let expected = scraped(&proxy).await;
    arrives(&expected, || {
        by_name(&server.received(), |path| {
            let (name, labels) = stat::parse(path.strip_prefix(PREFIX)?);
            Some((name, labels))
        })
    })
    .await;
    understood(&server);
}

#[tokio::test]
async fn graphite_has_labels_as_tags_of_names() {
    let Some((envoy, server)) = with_statsd().await else { return };
    let (proxy, _app) = after_traffic(&envoy, "graphite", (8125, server.port)).await;
    let expected = scraped(&proxy).await;
    arrives(&expected, || by_name(&server.received(), tagged)).await;
    understood(&server);
}

#[tokio::test]
async fn opentelemetry_has_labels_as_attributes() {
    let Some((envoy, collector)) = with_collector().await else { return };
    let (proxy, _app) = after_traffic(&envoy, "otlp", (4317, collector.port)).await;
    let expected = scraped(&proxy).await;
    let latest = |metric: &str| -> Totals {
        let points = collector.backend.latest(&format!("wasmcustom.{metric}"));
        let amount = |amount| match amount {
            Amount::Sum(value) | Amount::Gauge(value) => (value, 0.0),
            Amount::Histogram { count, sum } => (count as f64, sum),
        };
        points.into_iter().map(|(tags, a)| (labels(&tags), amount(a))).collect()
    };
    arrives(&expected, || [COUNTER, HISTOGRAM, GAUGE].map(latest)).await;
}

/// `name;tag=value`, as Graphite has it.
fn tagged(path: &str) -> Option<(String, Labels)> {
    let mut parts = path.strip_prefix(PREFIX)?.split(';');
    let name = parts.next()?.to_owned();
    let tags = parts.filter_map(|part| part.split_once('='));
    Some((name, tags.map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect()))
}

/// The server has read lines, and each of them.
fn understood(server: &Statsd) {
    let (good, bad) = server.received().lines;
    assert!(good > 6.0 && bad == 0.0, "{good} lines, {bad} of them bad: {}", server.log());
}

/// The three metrics by what a path stands for.
fn by_name(received: &Received, read: impl Fn(&str) -> Option<(String, Labels)>) -> [Totals; 3] {
    let mut totals = [Totals::new(), Totals::new(), Totals::new()];
    for (path, total) in &received.totals {
        let Some((name, tags)) = read(path) else { continue };
        let Some(place) = [COUNTER, HISTOGRAM, GAUGE].iter().position(|known| *known == name)
        else {
            continue;
        };
        let value = if name == HISTOGRAM { (total.count, total.value) } else { (total.value, 0.0) };
        totals[place].insert(labels(&tags), value);
    }
    totals
}

//! Updates of the configuration while requests are served by two workers: every request is answered, and counted once.

use crate::real_envoy;
use std::path::Path;
use std::time::{Duration, Instant};
use support::counter::Counter;
use support::envoy::Envoy;
use support::load::{Load, Tally};
use support::mesh::{Sidecar, Updates};
use support::scrape::Scrape;

/// What every request has one of.
const PER_REQUEST: [&str; 4] = [
    "istio_requests_total",
    "istio_request_bytes_count",
    "istio_response_bytes_count",
    "istio_request_duration_milliseconds_count",
];

const PATHS: [&str; 4] = ["/items", "/items/7", "/users/3/orders", "/elsewhere"];

/// The kernel spreads them over the workers.
const CONNECTIONS: usize = 8;

/// What a proxy may grow by after the first updates, in KiB.
const GROWTH: u64 = 8 * 1024;

/// Longest wait for an update.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the test is.
#[derive(Clone, Copy, Debug)]
struct Size {
    reloads: u32,
    requests: u64,
}

impl Size {
    /// `OPMETER_RELOADS` and `OPMETER_RELOAD_REQUESTS`, as `make reload` sets them.
    fn asked() -> Self {
        let number = |name: &str, default: u64| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty());
            text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
        };
        let reloads = u32::try_from(number("OPMETER_RELOADS", 12)).expect("fewer reloads");
        Self { reloads, requests: number("OPMETER_RELOAD_REQUESTS", 12_000) }
    }
}

/// The configuration after an update. No two are the same, and those that follow each other differ in what they derive,
/// in labels and in limits.
fn config(number: u32) -> String {
    let generation = if number.is_multiple_of(2) { "even" } else { "odd" };
    let operations = match generation {
        "even" => serde_json::json!([{ "path": "/items" }, { "path": "/items/{id}" }]),
        _ => serde_json::json!([{ "path": "/items/{item}" }, { "path": "/users/{id}/orders" }]),
    };
    serde_json::json!({
        "attributes": [{ "output_attribute": "operation", "operations": operations }],
        "metrics": [{ "dimensions": {
            "path": "request.path",
            "operation": "operation",
            "generation": format!("'{generation}'"),
            // One that Envoy has to evaluate, so that it is given another expression each time.
            "host_side": format!("[request.method, '{number}'][0]"),
        } }],
        "metadata_exchange": { "max_peers": 100 + number },
    })
    .to_string()
}

fn sidecar(upstream: u16, updates: Updates) -> Sidecar {
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.workers = 2;
    sidecar.updates = updates;
    sidecar.config = config(0);
    sidecar.dimensions =
        ["path", "operation", "generation", "host_side"].map(str::to_owned).to_vec();
    sidecar
}

/// Envoy's own count of updates that were accepted, and of those that were rejected.
fn counts(updates: Updates) -> (&'static str, &'static str) {
    match updates {
        Updates::Filter => (
            "envoy_extension_config_discovery_http_filter_opmeter_config_reload",
            "envoy_extension_config_discovery_http_filter_opmeter_update_rejected",
        ),
        _ => (
            "envoy_listener_manager_lds_update_success",
            "envoy_listener_manager_lds_update_rejected",
        ),
    }
}

/// Waits until a count of the proxy has risen to a number.
async fn rises(proxy: &Envoy, count: &str, number: f64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = Scrape::of(proxy).await.unwrap().total(count);
        if found >= number {
            return;
        }
        let log = proxy.log().unwrap();
        assert!(Instant::now() < deadline, "{count} is {found}, not {number}:\n{log}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A scrape in which every request was counted once, by path.
async fn complete(proxy: &Envoy, app: &Counter, sent: &Tally) -> Scrape {
    assert_eq!((sent.other_than(200), sent.refused), (0, 0), "{sent:?}");
    #[allow(clippy::cast_precision_loss, reason = "requests of a test")]
    let total = sent.total() as f64;
    for metric in PER_REQUEST {
        Scrape::when(proxy, metric, total).await.unwrap();
    }
    let scrape = Scrape::of(proxy).await.unwrap();
    for path in PATHS {
        let series = scrape.all("istio_requests_total");
        let counted = series.iter().filter(|s| s.labels["path"] == path).map(|s| s.value);
        let counted: f64 = counted.sum();
        let (client, upstream) = (sent.of(path), app.of(path));
        assert!(
            counted == client as f64 && client == upstream,
            "{path}: {counted} counted, {client} answered, {upstream} arrived"
        );
    }
    for errors in ["opmeter_host_errors_total", "opmeter_evaluation_errors_total"] {
        assert_eq!(scrape.total(errors), 0.0, "{errors}");
    }
    scrape
}

async fn reload(envoy: &Path, updates: Updates) {
    let size = Size::asked();
    let app = Counter::start().await.unwrap();
    let mut sidecar = sidecar(app.port, updates);
    let proxy = sidecar.start(envoy).await.unwrap();
    let (taken, refused) = counts(updates);
    let before = Scrape::of(&proxy).await.unwrap().total(taken);
    let load = Load::start(proxy.traffic_port, CONNECTIONS, &PATHS);
    let mut early = 0;
    for number in 1..=size.reloads {
        let due = size.requests * u64::from(number) / u64::from(size.reloads);
        if load.wait_for(due).await.is_err() {
            break;
        }
        sidecar.config = config(number);
        sidecar.update(&proxy).unwrap();
        rises(&proxy, taken, before + f64::from(number)).await;
        let memory = proxy.memory_kib("VmRSS").unwrap();
        if number <= size.reloads.div_ceil(4) {
            early = early.max(memory);
        }
        if number % 10 == 0 || number == size.reloads {
            eprintln!("reload {updates:?} {number}: {} answered, {memory} KiB", load.answered());
        }
    }
    let sent = load
        .stop()
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", proxy.log().unwrap_or_default()));
    assert!(sent.total() >= size.requests);
    let scrape = complete(&proxy, &app, &sent).await;
    let generations = ["even", "odd"].map(|generation| {
        let series = scrape.all("istio_requests_total");
        series.iter().filter(|s| s.labels["generation"] == generation).map(|s| s.value).sum::<f64>()
    });
    let few = 0.2 * sent.total() as f64;
    assert!(generations.iter().all(|count| *count > few), "{generations:?}");
    assert_eq!(scrape.total(refused), 0.0);
    assert_eq!(scrape.total("opmeter_config_errors_total"), 0.0);
    let memory = proxy.memory_kib("VmRSS").unwrap();
    eprintln!(
        "reload {updates:?}: {} updates, {} requests answered and counted, {} connections drained, \
        {early} KiB in the first quarter, {memory} KiB at the end",
        size.reloads,
        sent.total(),
        sent.closed,
    );
    assert!(memory < early + GROWTH, "{early} KiB became {memory} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_the_listener_lose_nothing() {
    let Some(envoy) = real_envoy() else { return };
    reload(&envoy, Updates::Listener).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_the_filter_lose_nothing() {
    let Some(envoy) = real_envoy() else { return };
    reload(&envoy, Updates::Filter).await;
}

/// Configurations with problems, and one in which nothing can be read, between good ones.
async fn broken(envoy: &Path, updates: Updates) {
    let app = Counter::start().await.unwrap();
    let mut sidecar = sidecar(app.port, updates);
    let proxy = sidecar.start(envoy).await.unwrap();
    let (taken, refused) = counts(updates);
    let load = Load::start(proxy.traffic_port, CONNECTIONS, &PATHS);
    load.wait_for(500).await.unwrap();
    let good = Scrape::of(&proxy).await.unwrap().total(taken);
    let own = async |name: &str| Scrape::of(&proxy).await.unwrap().total(name);
    let mut reported = 0.0;
    let with = |field: &str, value: serde_json::Value| {
        let mut config: serde_json::Value = serde_json::from_str(&config(0)).unwrap();
        config[field] = value;
        config.to_string()
    };
    let broken = [
        (
            with("metric", serde_json::json!([])),
            "configuration: metric: unknown field (did you mean \"metrics\"?); allowed: attributes, ",
        ),
        (
            with("limits", serde_json::json!({"max_series": "many"})),
            "configuration: limits.max_series: found the string \"many\", expected a number",
        ),
        (
            "{".to_owned(),
            "configuration: configuration: not JSON: EOF while parsing an object at line 1 column 1; the last readable \
            configuration stays in force",
        ),
    ];
    for (number, (config, message)) in (1_u8..).zip(broken) {
        sidecar.config = config;
        sidecar.update(&proxy).unwrap();
        rises(&proxy, taken, good + f64::from(number)).await;
        let log = proxy.log().unwrap();
        assert!(log.contains(message), "{message}\n{log}");
        let errors = own("opmeter_config_errors_total").await;
        assert!(errors > reported, "{errors} problems counted, {reported} before");
        reported = errors;
        let answered = load.answered();
        load.wait_for(answered + 500).await.unwrap();
    }
    assert!(own("opmeter_config_unreadable_total").await >= 2.0, "the main thread and each worker");
    assert_eq!(own("opmeter_config_rejected_total").await, 0.0);
    assert_eq!(own(refused).await, 0.0);
    let sent = load.stop().await.unwrap();
    let scrape = complete(&proxy, &app, &sent).await;
    let only_good = |s: &&support::series::Series| s.labels["generation"] == "even";
    assert!(scrape.all("istio_requests_total").iter().all(only_good));
    // And the next good one is taken, by every worker.
    sidecar.config = config(1);
    sidecar.update(&proxy).unwrap();
    rises(&proxy, taken, good + 4.0).await;
    let load = Load::start(proxy.traffic_port, CONNECTIONS, &PATHS);
    load.wait_for(1_000).await.unwrap();
    let more = load.stop().await.unwrap();
    assert_eq!(more.other_than(200), 0);
    let total = (sent.total() + more.total()) as f64;
    let scrape = Scrape::when(&proxy, "istio_requests_total", total).await.unwrap();
    let series = scrape.all("istio_requests_total");
    let odd = series.iter().filter(|s| s.labels["generation"] == "odd").map(|s| s.value);
    let odd: f64 = odd.sum();
    assert!(odd > 0.9 * more.total() as f64, "{odd} of {}", more.total());
    // The same unreadable text again: Envoy may use the plugin of the listener that drains.
    sidecar.config = "{".to_owned();
    sidecar.update(&proxy).unwrap();
    rises(&proxy, taken, good + 5.0).await;
    let load = Load::start(proxy.traffic_port, CONNECTIONS, &PATHS);
    load.wait_for(1_000).await.unwrap();
    let again = load.stop().await.unwrap();
    assert_eq!(again.other_than(200), 0);
    let total = total + again.total() as f64;
    let scrape = Scrape::when(&proxy, "istio_requests_total", total).await.unwrap();
    let series = scrape.all("istio_requests_total");
    let later = series.iter().filter(|s| s.labels["generation"] == "odd").map(|s| s.value);
    let later = later.sum::<f64>() - odd;
    assert!(later > 0.9 * again.total() as f64, "{later} of {}", again.total());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_update_of_the_listener_loses_nothing() {
    let Some(envoy) = real_envoy() else { return };
    broken(&envoy, Updates::Listener).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_update_of_the_filter_loses_nothing() {
    let Some(envoy) = real_envoy() else { return };
    broken(&envoy, Updates::Filter).await;
}

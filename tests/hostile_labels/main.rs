//! Random bytes as host, path and headers, through a real Envoy into a real Prometheus: every request is in one series, and
//! every series is one to Prometheus too.
//!
//! Envoy changes a tag on its way to the page; two stat names that come to the same labels are two samples of which Prometheus
//! keeps one. The alphabet is small and the values short, so that neighbours of every kind meet.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::app::App;
use support::case::Side;
use support::http;
use support::mesh::Sidecar;
use support::prometheus::{self, Prometheus};
use support::scrape::Scrape;
use support::series::Series;

/// Overridden by `OPMETER_SEED`; the test prints which it was.
const SEED: u64 = 0x0d07_5eed;
/// Requests with random bytes.
const REQUESTS: usize = 300;
/// Requests at a time; Envoy takes a second to close after some.
const AT_ONCE: usize = 75;
/// Longest wait for Envoy and Prometheus to tell all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Labels that the configuration adds, and what they are made of.
const DIMENSIONS: [(&str, &str); 6] = [
    ("any_agent", "request.useragent"),
    ("any_header", "request.headers['x-any']"),
    ("any_host", "request.host"),
    ("any_path", "request.url_path"),
    ("operation", "operation"),
    ("put_together", "'.' + request.headers['x-any'] + '.'"),
];

/// What values are made of: what Envoy, the stat name, the page and UTF-8 treat specially, and a few plain letters.
const PIECES: [&[u8]; 24] = [
    b".",
    b".",
    b".",
    b"..",
    b"a",
    b"A",
    b"_",
    b"-",
    b":",
    b"//",
    b";",
    b";.;",
    b"=.=",
    b"=",
    b"\"",
    b"\\",
    b",",
    b" ",
    b"\t",
    b"\x01",
    b"\x7f",
    b"\xff",
    "\u{85}".as_bytes(),
    "é".as_bytes(),
];

/// Requests that are none: of them nothing is known, which is no error.
const MALFORMED: [&[u8]; 6] = [
    b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    b"NOSUCH / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    b"GET / HTTP/9.9\r\nhost: h\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\nhost: h\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\r\n\r\n",
    b"no http\r\n\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_labels_hold_every_request_is_in_one_series_of_a_real_prometheus() {
    let binary = support::envoy::binary().expect("an Envoy");
    let (Some(envoy), Some(prometheus)) = (binary, prometheus::binary().expect("a Prometheus"))
    else {
        return;
    };
    let seed = std::env::var("OPMETER_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(SEED);
    println!("OPMETER_SEED={seed}");
    let app = App::start(&[]).await.expect("an application");
    let mut gateway = Sidecar::productpage(app.port);
    gateway.side = Side::Gateway;
    // Without a service in the cluster's metadata the Host header is the service.
    gateway.istio_metadata = json!({});
    gateway.config = config();
    gateway.dimensions = DIMENSIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let proxy = gateway.start(&envoy).await.expect("a proxy");
    let scraping = json!({
        "global": { "scrape_interval": "200ms", "scrape_timeout": "200ms" },
        "scrape_configs": [{
            "job_name": "envoy",
            "metrics_path": "/stats/prometheus",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "static_configs": [{ "targets": [format!("127.0.0.1:{}", proxy.metrics_port)] }],
        }],
    });
    let prometheus = Prometheus::start(&prometheus, &scraping).await.expect("a Prometheus");

    let mut messages: Vec<Vec<u8>> = MALFORMED.iter().map(|message| message.to_vec()).collect();
    let mut random = Random(seed);
    messages.extend((0..REQUESTS).map(|_| random.request()));
    for some in messages.chunks(AT_ONCE) {
        let sent: Vec<_> = some
            .iter()
            .map(|message| {
                let (port, message) = (proxy.traffic_port, message.clone());
                // Envoy may close before it has read everything.
                tokio::spawn(async move { drop(http::raw(port, &message).await) })
            })
            .collect();
        for sent in sent {
            sent.await.expect("a request");
        }
    }
    // Envoy's own count: of what it closed at once there is no request.
    let total =
        Scrape::of(&proxy).await.expect("a page").total("envoy_http_entry_downstream_rq_total");
    assert!(total >= REQUESTS as f64, "Envoy saw {total} requests only");
    let scrape = Scrape::when(&proxy, "istio_requests_total", total).await.expect("every request");
    check(&scrape).expect("a page without doubles");
    for errors in ["evaluation_errors", "host_errors", "series_overflow"] {
        assert_eq!(scrape.total(&format!("opmeter_{errors}_total")), 0.0, "{errors}");
    }
    let series = scrape.all("istio_requests_total").len();
    assert!(series > REQUESTS / 3, "{series} series are too few to tell anything");
    same(&prometheus, "sum(istio_requests_total)", total).await.expect("the same total");
    same(&prometheus, "count(istio_requests_total)", series as f64).await.expect("the same series");
}

fn config() -> String {
    let dimensions: serde_json::Map<String, Value> =
        DIMENSIONS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    json!({
        "attributes": [{ "output_attribute": "operation", "operations": [
            { "path": "/{a}", "value": "one." }, { "path": "/{*rest}", "value": "..." },
        ] }],
        // Three histograms per label set are a page of 20 MB.
        "metrics": [
            { "dimensions": dimensions },
            { "name": "request_duration_milliseconds", "drop": true },
            { "name": "request_bytes", "drop": true },
            { "name": "response_bytes", "drop": true },
        ],
        "limits": { "max_series": 5_000, "max_label_bytes": 64 },
    })
    .to_string()
}

/// No two samples share their labels, and no label that has to be there is empty.
fn check(scrape: &Scrape) -> Result<()> {
    let ours =
        |series: &&Series| series.name.starts_with("istio_") && !series.name.contains("build");
    let mut seen = BTreeSet::new();
    for series in scrape.series().iter().filter(ours) {
        ensure!(seen.insert((&series.name, &series.labels)), "twice: {series}");
        let empty = |(name, value): &(&String, &String)| {
            value.is_empty() && name.as_str() != "grpc_response_status"
        };
        ensure!(series.labels.iter().find(empty).is_none(), "empty: {series}");
        let names = DIMENSIONS.iter().map(|(name, _)| *name);
        let labels = opmeter_core::metric::standard::HTTP_LABELS.iter().map(|label| label.name());
        for name in names.chain(labels).filter(|name| *name != "grpc_response_status") {
            ensure!(series.labels.contains_key(name), "without {name}: {series}");
        }
    }
    ensure!(!seen.is_empty(), "no series of ours");
    Ok(())
}

/// Waits until Prometheus has scraped a value.
async fn same(prometheus: &Prometheus, expr: &str, expected: f64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = prometheus.now(expr).await?;
        let value = found.first().and_then(|series| series.last());
        if value == Some(expected) {
            return Ok(());
        }
        let log = || prometheus.log().unwrap_or_default();
        ensure!(Instant::now() < deadline, "{expr} is {value:?}, not {expected}\n{}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A linear congruential generator: no dependency, the same everywhere.
struct Random(u64);

// === impl Random ===

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    /// A few pieces, now and then behind more than a label may hold.
    fn value(&mut self) -> Vec<u8> {
        let mut value =
            if self.below(10) == 0 { vec![b'l'; 60 + self.below(8)] } else { Vec::new() };
        for _ in 0..self.below(4) {
            value.extend_from_slice(PIECES[self.below(PIECES.len())]);
        }
        value
    }

    fn request(&mut self) -> Vec<u8> {
        // What Envoy would refuse in a target or a host is left to the headers, most of the time.
        let plain = |random: &mut Self| {
            let odd = random.below(20) == 0;
            let value = random.value().into_iter();
            value.filter(|byte| odd || byte.is_ascii_graphic()).collect::<Vec<u8>>()
        };
        let (path, host) = (plain(self), plain(self));
        let (header, agent) = (self.value(), self.value());
        [
            b"GET /",
            path.as_slice(),
            b" HTTP/1.1\r\nconnection: close\r\nhost: ",
            &host,
            b"\r\nx-any: ",
            &header,
            b"\r\nuser-agent: ",
            &agent,
            b"\r\n\r\n",
        ]
        .concat()
    }
}

//! Memory that series take of a real Envoy when the budget is full: 30 labels, 4 metrics of which 3 are histograms, each
//! set seen by every worker, then one scrape, for which Envoy builds the whole text.

use anyhow::{Result, ensure};
use opmeter_core::limits::DEFAULT_MAX_SERIES;
use std::time::Duration;
use support::app::App;
use support::envoy;
use support::mesh::Sidecar;
use support::scrape::Scrape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Five dimensions beside the 25 standard labels, the first of which has no end.
const DIMENSIONS: [(&str, &str); 5] = [
    ("request_operation", "request.path"),
    ("request_method", "request.method"),
    ("request_scheme", "request.scheme"),
    ("source_port_name", "'http-metrics'"),
    ("tenant", "request.headers['x-tenant']"),
];
const WORKERS: [u32; 3] = [1, 2, 4];
/// Per worker, so that each has some: the kernel spreads them.
const CONNECTIONS: u32 = 6;
/// What the default budget may take.
const MOST_MIB: f64 = 64.0;
/// Envoy merges histograms and gives memory back from time to time.
const SETTLE: Duration = Duration::from_secs(6);

#[tokio::main]
async fn main() -> Result<()> {
    let Some(envoy) = envoy::binary().expect("OPMETER_ENVOY names an Envoy") else { return Ok(()) };
    println!("twice max_series ({DEFAULT_MAX_SERIES}) sent; MiB over an idle proxy");
    println!(
        "{:<8} {:>10} {:>14} {:>16} {:>18}",
        "workers", "label sets", "series", "peak of a scrape", "peak per set, KiB"
    );
    for workers in WORKERS {
        measure(&envoy, workers).await?;
    }
    Ok(())
}

async fn measure(envoy: &std::path::Path, workers: u32) -> Result<()> {
    let app = App::start(&[]).await?;
    let mut sidecar = Sidecar::ratings(app.port);
    let dimensions: serde_json::Map<_, _> =
        DIMENSIONS.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
    sidecar.workers = workers;
    // The last eighth is for folded sets, of which one comes about here.
    let limits = serde_json::json!({ "max_series": DEFAULT_MAX_SERIES * 8 / 7 });
    let metrics = serde_json::json!([{ "dimensions": dimensions }]);
    sidecar.config = serde_json::json!({ "limits": limits, "metrics": metrics }).to_string();
    sidecar.dimensions = DIMENSIONS.iter().map(|(name, _)| name.to_string()).collect();
    let proxy = sidecar.start(envoy).await?;
    let connections = CONNECTIONS * workers;
    for _ in 0..connections {
        send(proxy.traffic_port, 0..1).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = proxy.memory_kib("VmRSS")?;
    let sets = 2 * DEFAULT_MAX_SERIES;
    for _ in 0..connections {
        send(proxy.traffic_port, 0..sets).await?;
    }
    let sent = f64::from(connections) * (1.0 + sets as f64);
    tokio::time::sleep(SETTLE).await;
    let series = proxy.memory_kib("VmRSS")?;
    let scrape = Scrape::when(&proxy, "istio_requests_total", sent).await?;
    ensure!(scrape.total("istio_request_bytes_count") == sent, "histograms are not complete");
    let peak = proxy.memory_kib("VmHWM")?;
    let held = scrape.total("opmeter_series");
    ensure!(held > DEFAULT_MAX_SERIES as f64, "only {held} label sets");
    let mib = |kib: u64| (kib - before) as f64 / 1024.0;
    println!(
        "{workers:<8} {:>10} {:>14.1} {:>16.1} {:>18.1}",
        held,
        mib(series),
        mib(peak),
        mib(peak) * 1024.0 / held
    );
    ensure!(mib(peak) < MOST_MIB, "more than {MOST_MIB} MiB");
    Ok(())
}

/// Sends requests one after the other on one connection; each answer ends with the body `ok`.
async fn send(port: u16, paths: std::ops::Range<usize>) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    for path in paths {
        let padding = "p".repeat(path % 7 * 100);
        let request = format!(
            "GET /customers/{path:06}/orders/latest HTTP/1.1\r\nhost: ratings\r\n\
            x-tenant: tenant-a\r\nx-padding: {padding}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut len = 0;
        while !buffer[..len].ends_with(b"\r\n\r\nok") {
            let read = stream.read(&mut buffer[len..]).await?;
            ensure!(read > 0, "the proxy closed the connection");
            len += read;
        }
        ensure!(buffer.starts_with(b"HTTP/1.1 200"), "not answered");
    }
    Ok(())
}

//! What a real Envoy tells others besides Prometheus: access logs, traces, statistics sinks, and filters further on.

mod locally;
mod received;
mod sinks;
mod tracing;

use std::path::PathBuf;
use support::{otlp, statsd};

/// The Envoy to test with; `None` to pass without a run.
fn real_envoy() -> Option<PathBuf> {
    support::envoy::binary().expect("an Envoy")
}

/// The Envoy and the collector to test with; `None` to pass without a run.
async fn with_collector() -> Option<(PathBuf, otlp::Collector)> {
    let envoy = real_envoy()?;
    let collector = otlp::binary().expect("a collector")?;
    Some((envoy, otlp::Collector::start(&collector).await.expect("a collector that runs")))
}

/// The Envoy and the statsd server to test with; `None` to pass without a run.
async fn with_statsd() -> Option<(PathBuf, statsd::Statsd)> {
    let envoy = real_envoy()?;
    let script = statsd::script().expect("a statsd")?;
    Some((envoy, statsd::Statsd::start(&script).await.expect("a statsd that runs")))
}

/// Whether spans can be tagged with formats: from Envoy 1.37. Before, tags come from headers.
fn has_formatted_tags(envoy: &std::path::Path) -> bool {
    support::envoy::version(envoy).expect("a version") >= (1, 37)
}

/// A request to the operation this suite is about, with headers.
fn get(
    target: &str,
    headers: &[(&str, &str)],
) -> hyper::Request<http_body_util::Full<hyper::body::Bytes>> {
    let request = hyper::Request::get(target).header("host", "shop.example");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(http_body_util::Full::default()).expect("a request")
}

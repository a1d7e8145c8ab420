//! Holds what the two proxies count against what clients and upstreams saw.

use crate::grpc::{REQUESTS, RESPONSES};
use crate::ledger::{Ledger, Sums};
use crate::tcp::{CONNECTIONS, RECEIVED, SENT, TCP};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use support::mesh::Pair;
use support::scrape::Scrape;

/// Longest wait for the last counts.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every request has one of beside `istio_requests_total`.
const HISTOGRAMS: [&str; 3] = [
    "istio_request_bytes_count",
    "istio_response_bytes_count",
    "istio_request_duration_milliseconds_count",
];

/// The upstream that restarts: what it got of a request that broke off nobody knows.
const RESTART: &str = "restart";

/// What was seen outside the proxies.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By clients: kind and status, `0` when they went away.
    pub client: Ledger,
    /// By the upstream, likewise.
    pub upstream: Ledger,
    /// gRPC messages.
    pub messages: Ledger,
    /// TCP connections and bytes.
    pub tcp: Ledger,
}

/// Waits until the proxies count what was seen; every difference that is left.
///
/// # Errors
/// When a proxy cannot be scraped.
pub async fn differences(pair: &Pair, seen: &Seen) -> Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let client = Scrape::of(&pair.client).await?;
        let server = Scrape::of(&pair.server).await?;
        let found = all(&client, &server, seen);
        if found.is_empty() || Instant::now() > deadline {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn all(client: &Scrape, server: &Scrape, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let without = |mut sums: Sums| {
        sums.retain(|(kind, _), _| kind != RESTART);
        sums
    };
    let (at_client, at_server) = (by_status(client), by_status(server));
    compare("client sidecar, client", &at_client, &seen.client.read(), &mut found);
    let upstream = without(seen.upstream.read());
    compare("server sidecar, upstream", &without(at_server.clone()), &upstream, &mut found);
    // No retries: what one proxy counts the other does, status by status.
    let only = |sums: &Sums| {
        let of_restart = sums.iter().filter(|((kind, _), _)| kind == RESTART);
        of_restart.map(|(key, count)| (key.clone(), *count)).collect::<Sums>()
    };
    compare("server sidecar, client", &only(&at_server), &only(&at_client), &mut found);
    let answered = at_server.get(&(RESTART.to_owned(), "200".to_owned())).copied();
    let (answered, arrived) = (answered.unwrap_or_default(), seen.upstream.of(RESTART, "200"));
    let sent: u64 = only(&at_server).values().sum();
    if !(answered..=sent).contains(&arrived) {
        found.push(format!("{RESTART}: {arrived} arrived, {answered} of {sent} were answered"));
    }
    for (proxy, scrape) in [("client", client), ("server", server)] {
        let total = scrape.total("istio_requests_total");
        for histogram in HISTOGRAMS {
            if scrape.total(histogram) != total {
                let count = scrape.total(histogram);
                found.push(format!("{proxy} sidecar: {histogram} is {count}, requests {total}"));
            }
        }
        for (metric, outcome) in [
            ("istio_request_messages_total", REQUESTS),
            ("istio_response_messages_total", RESPONSES),
        ] {
            let counted = by_label(scrape, metric, "kind", outcome);
            let mut expected = seen.messages.read();
            expected.retain(|(_, other), count| other == outcome && *count > 0);
            compare(&format!("{proxy} sidecar, messages"), &counted, &expected, &mut found);
        }
        for (metric, outcome) in [
            ("istio_tcp_connections_opened_total", CONNECTIONS),
            ("istio_tcp_connections_closed_total", CONNECTIONS),
            ("istio_tcp_received_bytes_total", RECEIVED),
            ("istio_tcp_sent_bytes_total", SENT),
        ] {
            let (counted, expected) = (scrape.total(metric), seen.tcp.of(TCP, outcome));
            if counted != as_f64(expected) {
                found.push(format!("{proxy} sidecar: {metric} is {counted}, not {expected}"));
            }
        }
        for errors in [
            "opmeter_host_errors_total",
            "opmeter_evaluation_errors_total",
            "opmeter_peer_decode_errors_total",
            "opmeter_config_errors_total",
            "opmeter_series_overflow_total",
        ] {
            if scrape.total(errors) != 0.0 {
                found.push(format!("{proxy} sidecar: {errors} is {}", scrape.total(errors)));
            }
        }
    }
    found
}

/// Requests by kind and status.
fn by_status(scrape: &Scrape) -> Sums {
    let mut sums = Sums::new();
    for series in scrape.all("istio_requests_total") {
        let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
        *sums.entry((label("kind"), label("response_code"))).or_default() += as_u64(series.value);
    }
    sums
}

/// A metric by one label.
fn by_label(scrape: &Scrape, metric: &str, label: &str, outcome: &str) -> Sums {
    let mut sums = Sums::new();
    for series in scrape.all(metric).into_iter().filter(|series| series.value > 0.0) {
        let label = series.labels.get(label).cloned().unwrap_or_default();
        *sums.entry((label, outcome.to_owned())).or_default() += as_u64(series.value);
    }
    sums
}

fn compare(what: &str, counted: &Sums, expected: &Sums, found: &mut Vec<String>) {
    let keys: std::collections::BTreeSet<_> = counted.keys().chain(expected.keys()).collect();
    for key in keys {
        let of = |sums: &Sums| sums.get(key).copied().unwrap_or_default();
        if of(counted) != of(expected) {
            let (kind, outcome) = key;
            found.push(format!("{what}: {kind} {outcome}: {}, not {}", of(counted), of(expected)));
        }
    }
}

/// What the clients saw, for people.
///
/// # Errors
/// When nothing was seen of a kind that ought to be there.
pub fn summary(seen: &Seen, kinds: &[&str]) -> Result<String> {
    let sums = seen.client.read();
    let mut text = String::new();
    for ((kind, status), count) in &sums {
        text.push_str(&format!("{kind} {status}: {count}\n"));
    }
    for ((kind, outcome), count) in seen.messages.read().iter().chain(&seen.tcp.read()) {
        text.push_str(&format!("{kind} {outcome}: {count}\n"));
    }
    for kind in kinds {
        ensure!(sums.keys().any(|(other, _)| other == kind), "nothing of kind {kind}");
    }
    Ok(text)
}

#[allow(clippy::cast_precision_loss, reason = "counts of a test")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
fn as_u64(count: f64) -> u64 {
    count as u64
}

//! Two hops under mixed traffic, much of which fails: HTTP/1.1, HTTP/2, gRPC streams and TCP with aborts, slow readers and
//! writers, resets, timeouts, retries, and an upstream that restarts. What the proxies count is what clients and upstreams
//! saw, label by label, and their memory stays what it is. `make soak MINUTES=30` is the long run.

mod compare;
mod grpc;
mod http;
mod ledger;
mod tcp;
mod upstream;

use anyhow::{Context, Result, ensure};
use compare::Seen;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::app::Twice;
use support::mesh::{Pair, Sidecar, TCP_LISTENER};
use support::scrape::Scrape;
use tokio::task::JoinSet;
use upstream::{KIND, Shared, Upstream};

/// Kinds of exchange over HTTP, how many clients have each, and how long they rest after one, in milliseconds.
const HTTP: [(&str, u32, u64); 13] = [
    ("plain", 3, 20),
    ("h2", 3, 25),
    ("status", 2, 30),
    ("upload", 1, 300),
    ("slow", 1, 1_000),
    ("abort", 2, 60),
    ("h2-abort", 1, 60),
    ("reset", 1, 80),
    ("h2-reset", 1, 80),
    ("midbody", 1, 150),
    ("timeout", 1, 500),
    ("retry", 1, 100),
    ("restart", 2, 15),
];

/// Likewise over gRPC.
const GRPC: [(&str, u32, u64); 6] = [
    ("grpc-unary", 1, 30),
    ("grpc-error", 1, 60),
    ("grpc-list", 1, 60),
    ("grpc-collect", 1, 60),
    ("grpc-talk", 1, 60),
    ("grpc-cancel", 1, 80),
];

/// Likewise over TCP.
const TCP_CLIENTS: u32 = 2;
const TCP_REST: u64 = 40;

/// What a proxy may grow by once it is warm, in KiB, in a run of minutes and in a short one, which is not warm as long.
const GROWTH: u64 = 2 * 1024;
const GROWTH_OF_A_SHORT_RUN: u64 = 8 * 1024;

/// The run from which memory is flat.
const WARM: Duration = Duration::from_secs(5 * 60);

/// How long a run is.
struct Length {
    /// Traffic in all.
    all: Duration,
    /// After so much of it everything is held against everything.
    phase: Duration,
    /// After so much of it memory has to be flat.
    warm: Duration,
    growth: u64,
}

// === impl Length ===

impl Length {
    /// `OPMETER_SOAK_MINUTES`; half a minute without.
    fn asked() -> Self {
        let text = std::env::var("OPMETER_SOAK_MINUTES").ok().filter(|text| !text.is_empty());
        let Some(minutes) = text else {
            return Self {
                all: Duration::from_secs(24),
                phase: Duration::from_secs(6),
                warm: Duration::from_secs(12),
                growth: GROWTH_OF_A_SHORT_RUN,
            };
        };
        let minutes: u32 = minutes.parse().expect("OPMETER_SOAK_MINUTES is a number of minutes");
        let minute = Duration::from_secs(60);
        let warm = WARM.min(minute * minutes / 2);
        Self { all: minute * minutes, phase: minute / 2, warm, growth: GROWTH }
    }
}

fn config(reporting: &str) -> String {
    json!({
        "attributes": [{ "output_attribute": "operation", "operations": [
            { "path": "/items/{id}" }, { "path": "/ratings.Ratings/{call}" },
        ] }],
        "metrics": [{ "dimensions": {
            "kind": format!("request.headers['{KIND}']"),
            "operation": "operation",
        } }],
        "metadata_exchange": {},
        "tcp_reporting_duration": reporting,
    })
    .to_string()
}

fn route(kind: &str, action: &serde_json::Value) -> serde_json::Value {
    json!({
        "match": {
            "prefix": "/",
            "headers": [{ "name": KIND, "string_match": { "exact": kind } }],
        },
        "route": action,
    })
}

async fn start(envoy: &Path, upstream: &Upstream, restarting: &Upstream, tcp: u16) -> Result<Pair> {
    let dimensions = ["kind", "operation"].map(str::to_owned).to_vec();
    let mut server = Sidecar::ratings(upstream.port);
    server.clusters = vec![("restarting".to_owned(), restarting.port)];
    server.routes = vec![route("restart", &json!({ "cluster": "restarting", "timeout": "0s" }))];
    let mut client = Sidecar::productpage(0);
    let retries = json!({ "retry_on": "5xx", "num_retries": 2 });
    client.routes = vec![
        route("timeout", &json!({ "cluster": "http", "timeout": "2s" })),
        route("retry", &json!({ "cluster": "http", "timeout": "0s", "retry_policy": retries })),
    ];
    for sidecar in [&mut client, &mut server] {
        sidecar.workers = 2;
        sidecar.config = config("0.2s");
        sidecar.tcp_config = r#"{"tcp_reporting_duration":"0.2s"}"#.to_owned();
        sidecar.dimensions.clone_from(&dimensions);
    }
    server.tcp_upstream = Some(tcp);
    Pair::start(envoy, client, &server).await
}

/// Sends traffic of every kind for some time, and waits until the last exchange is over.
async fn traffic(pair: &Pair, seen: &Seen, shared: &Shared, time: Duration) -> Result<()> {
    let stop = Arc::<AtomicBool>::default();
    let mut clients = JoinSet::new();
    let port = pair.client.traffic_port;
    for (kind, count, rest) in HTTP {
        for _ in 0..count {
            let mut client = http::Client::new(kind, port, seen.client.clone(), shared.clone());
            let stop = Arc::clone(&stop);
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.exchange().await?;
                    tokio::time::sleep(Duration::from_millis(rest)).await;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
    }
    for (kind, count, rest) in GRPC {
        for _ in 0..count {
            let (streams, messages) = (seen.client.clone(), seen.messages.clone());
            let mut caller = grpc::Caller::new(kind, port, streams, messages).await?;
            let stop = Arc::clone(&stop);
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    caller.call().await.with_context(|| format!("kind {kind}"))?;
                    tokio::time::sleep(Duration::from_millis(rest)).await;
                }
                Ok(())
            });
        }
    }
    let port = pair.client.port_of(TCP_LISTENER).await?;
    for client in 0..TCP_CLIENTS {
        let (ledger, stop) = (seen.tcp.clone(), Arc::clone(&stop));
        clients.spawn(async move {
            for number in (u64::from(client)..).step_by(usize::try_from(TCP_CLIENTS)?) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                tcp::connect(port, number, &ledger).await.context("TCP")?;
                tokio::time::sleep(Duration::from_millis(TCP_REST)).await;
            }
            Ok(())
        });
    }
    let deadline = tokio::time::sleep(time);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline, if !stop.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            client = clients.join_next() => match client {
                Some(client) => client??,
                None => return Ok(()),
            },
        }
    }
}

async fn soak(envoy: &Path) -> Result<()> {
    let length = Length::asked();
    let shared = Shared::default();
    let seen = Seen { upstream: shared.ledger.clone(), ..Seen::default() };
    let upstream = Upstream::start(shared.clone()).await?;
    let (up, down) = (Duration::from_millis(1_700), Duration::from_millis(250));
    let restarting = Upstream::restarting(shared.clone(), up, down).await?;
    let twice = Twice::start().await?;
    let pair = start(envoy, &upstream, &restarting, twice.port).await?;
    let begin = Instant::now();
    let mut warm: Option<[u64; 2]> = None;
    let mut most = [0; 2];
    while begin.elapsed() < length.all {
        traffic(&pair, &seen, &shared, length.phase).await.with_context(|| {
            let logs = [&pair.client, &pair.server].map(|proxy| proxy.log().unwrap_or_default());
            format!("after {:?}; logs: {logs:#?}", begin.elapsed())
        })?;
        let differences = compare::differences(&pair, &seen).await?;
        let memory = [pair.client.memory_kib("VmRSS")?, pair.server.memory_kib("VmRSS")?];
        let requests: u64 = seen.client.read().values().sum();
        eprintln!(
            "soak: {} s, {requests} requests, {} connections, {} and {} KiB, {} differences",
            begin.elapsed().as_secs(),
            seen.tcp.of(tcp::TCP, tcp::CONNECTIONS),
            memory[0],
            memory[1],
            differences.len(),
        );
        ensure!(differences.is_empty(), "{differences:#?}");
        if begin.elapsed() >= length.warm {
            warm.get_or_insert(memory);
            most = [most[0].max(memory[0]), most[1].max(memory[1])];
        }
    }
    let kinds: Vec<&str> = HTTP.iter().chain(&GRPC).map(|(kind, ..)| *kind).collect();
    eprintln!("soak: what clients saw\n{}", compare::summary(&seen, &kinds)?);
    let labels = Scrape::of(&pair.client).await?.total("opmeter_series");
    let warm = warm.context("a run that is never warm")?;
    eprintln!("soak: {labels} label sets at the client's; from {warm:?} to at most {most:?} KiB");
    for (warm, most) in warm.into_iter().zip(most) {
        ensure!(most <= warm + length.growth, "{warm} KiB became {most} KiB");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_counted_once_and_memory_stays() {
    let Some(envoy) = support::envoy::binary().expect("an Envoy") else { return };
    soak(&envoy).await.unwrap();
}

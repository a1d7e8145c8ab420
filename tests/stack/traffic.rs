//! The traffic: the same calls in every tick, at a steady pace, so that every rate, share and quantile is known.

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::{Method, Request};
use std::time::{Duration, Instant};
use support::envoy::Envoy;
use support::grpc::{UNARY, Words};
use support::http;
use support::mesh::TCP_LISTENER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// Between two ticks.
pub const TICK: Duration = Duration::from_millis(200);
/// Ticks of the measured traffic.
pub const TICKS: u32 = 50;
/// Bytes that a TCP connection sends; twice as many come back.
pub const TCP_BYTES: usize = 100;

/// One kind of HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How many in a tick of one client.
    pub times: u32,
    method: &'static str,
    path: &'static str,
    /// Milliseconds the application waits.
    pub wait: u64,
    /// Status it is answered with.
    pub status: u16,
    /// What the operation is called.
    pub operation: &'static str,
}

const fn step(
    times: u32,
    method: &'static str,
    path: &'static str,
    wait: u64,
    status: u16,
    operation: &'static str,
) -> Step {
    Step { times, method, path, wait, status, operation }
}

/// The HTTP requests of a tick. The waits lie in the middle of buckets, so that a busy machine does not move them out.
pub const STEPS: [Step; 7] = [
    step(2, "GET", "/items", 0, 200, "get_items"),
    step(2, "GET", "/items", 35, 200, "get_items"),
    step(1, "GET", "/items", 320, 200, "get_items"),
    step(2, "POST", "/items", 0, 201, "create_items"),
    step(1, "POST", "/items", 0, 503, "create_items"),
    step(1, "DELETE", "/items/7", 0, 204, "delete_item"),
    step(1, "GET", "/reviews", 0, 404, "unknown"),
];

/// gRPC calls of a tick: status and how many.
pub const CALLS: [(i32, u32); 2] = [(0, 1), (14, 1)];

/// The operations, as the module is configured.
pub const OPERATIONS: &str = r#"[
    {"method": "GET", "path": "/items", "value": "get_items"},
    {"method": "POST", "path": "/items", "value": "create_items"},
    {"method": "DELETE", "path": "/items/{id}", "value": "delete_item"},
    {"path": "/ratings.Ratings/Get", "value": "get_rating"}
]"#;

/// A client's side of the mesh.
#[derive(Clone, Debug)]
pub struct Client {
    port: u16,
    tcp_port: u16,
    channel: Channel,
}

// === impl Client ===

impl Client {
    /// Connects to a sidecar.
    pub async fn connect(proxy: &Envoy) -> Result<Self> {
        let port = proxy.traffic_port;
        let channel = Endpoint::try_from(format!("http://127.0.0.1:{port}"))?.connect().await?;
        Ok(Self { port, tcp_port: proxy.port_of(TCP_LISTENER).await?, channel })
    }

    /// One tick's calls, side by side; how long each read took.
    async fn tick(self) -> Result<Vec<Duration>> {
        let mut calls = JoinSet::new();
        for step in STEPS {
            for _ in 0..step.times {
                calls.spawn(request(self.port, step));
            }
        }
        for (status, times) in CALLS {
            for _ in 0..times {
                calls.spawn(call(self.channel.clone(), status));
            }
        }
        calls.spawn(connection(self.tcp_port));
        let mut reads = Vec::new();
        while let Some(done) = calls.join_next().await {
            reads.extend(done??);
        }
        Ok(reads)
    }
}

/// Sends so many ticks from every client; how long the reads took, shortest first, as the clients saw it.
pub async fn send(clients: &[Client], ticks: u32) -> Result<Vec<Duration>> {
    let mut running = JoinSet::new();
    let mut clock = tokio::time::interval(TICK);
    for _ in 0..ticks {
        clock.tick().await;
        for client in clients {
            running.spawn(client.clone().tick());
        }
    }
    let mut reads = Vec::new();
    while let Some(done) = running.join_next().await {
        reads.extend(done??);
    }
    reads.sort();
    Ok(reads)
}

/// HTTP requests of a tick of one client, of those that a predicate picks.
pub fn in_a_tick(of: impl Fn(&Step) -> bool) -> u32 {
    STEPS.iter().filter(|step| of(step)).map(|step| step.times).sum()
}

/// gRPC calls of a tick of one client.
pub fn calls_in_a_tick() -> u32 {
    CALLS.iter().map(|(_, times)| times).sum()
}

async fn request(port: u16, step: Step) -> Result<Option<Duration>> {
    let Step { method, path, wait, status, operation, .. } = step;
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(format!("{path}?ms={wait}&status={status}"))
        .header("host", "ratings:9080")
        .body(Full::default())?;
    let start = Instant::now();
    let answer = http::call(port, request).await.with_context(|| format!("{method} {path}"))?;
    ensure!(answer.status() == status, "{method} {path} was answered {}", answer.status());
    Ok((operation == "get_items").then(|| start.elapsed()))
}

async fn call(channel: Channel, status: i32) -> Result<Option<Duration>> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let words = tonic::Request::new(Words { status, ..Words::default() });
    let path = PathAndQuery::from_static(UNARY);
    let answer: Result<tonic::Response<Words>, _> =
        grpc.unary(words, path, ProstCodec::<Words, Words>::default()).await;
    let ended = answer.err().map_or(0, |error| i32::from(error.code()));
    ensure!(ended == status, "gRPC status {ended} instead of {status}");
    Ok(None)
}

async fn connection(port: u16) -> Result<Option<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&[b'x'; TCP_BYTES]).await?;
    stream.read_exact(&mut [0; 2 * TCP_BYTES]).await?;
    Ok(None)
}

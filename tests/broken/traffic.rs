//! Requests and connections, their answers, and what arrives at the applications.

use crate::cases::rule::REQUESTS;
use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::header::HeaderMap;
use std::collections::BTreeMap;
use std::time::Duration;
use support::app::{App, Twice};
use support::envoy::Envoy;
use support::fleet::{BARE_HTTP, BARE_TCP, Layer};
use support::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How often each of [`REQUESTS`] is sent: counts tell them apart.
pub const TIMES: [u64; 2] = [1, 2];
/// All requests.
pub const TOTAL: u64 = TIMES[0] + TIMES[1];

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Headers that are not the same twice.
const VARYING: [&str; 4] =
    ["date", "x-envoy-upstream-service-time", "x-request-id", "x-b3-traceid"];

/// What the proxies stand before.
#[derive(Debug)]
pub struct Applications {
    /// For HTTP.
    pub http: App,
    /// For TCP.
    pub tcp: Twice,
}

/// What came of requests or of a connection: for each the answer, and what its application got.
pub type Answers = Vec<(String, String)>;

// === impl Applications ===

impl Applications {
    /// Starts both.
    pub async fn start() -> Result<Self> {
        Ok(Self { http: App::start(&[("x-answer", b"yes")]).await?, tcp: Twice::start().await? })
    }

    /// Sends [`REQUESTS`] or a connection to a listener.
    pub async fn ask(&self, envoy: &Envoy, listener: &str, is_http: bool) -> Result<Answers> {
        let port = envoy.port_of(listener).await?;
        if !is_http {
            return Ok(vec![(connection(port).await?, String::new())]);
        }
        let mut answers = Vec::new();
        for ((method, path), times) in REQUESTS.into_iter().zip(TIMES) {
            for _ in 0..times {
                let request = hyper::Request::builder().method(method).uri(path);
                let request = request.header("host", "ratings.example");
                let answer = http::call(port, request.body(Full::default())?).await?;
                let (head, body) = answer.into_parts();
                let told = format!("{} {:?} {body:?}", head.status, same(&head.headers));
                let arrived = self.http.take();
                let arrived: Vec<_> = arrived.iter().map(same).collect();
                answers.push((told, format!("{arrived:?}")));
            }
        }
        Ok(answers)
    }

    /// The answers of a listener without the module.
    pub async fn bare(&self, envoy: &Envoy, layer: Layer) -> Result<Answers> {
        let listener = if layer.is_http() { BARE_HTTP } else { BARE_TCP };
        let answers = self.ask(envoy, listener, layer.is_http()).await?;
        assert!(answers.iter().all(|(told, _)| told.starts_with("200 ") || !layer.is_http()));
        Ok(answers)
    }
}

/// Sends four bytes and gets eight.
async fn connection(port: u16) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"ping").await?;
        let mut answer = vec![0; 8];
        stream.read_exact(&mut answer).await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8(answer)?)
    };
    timeout(PATIENCE, exchange).await.context("no answer")?
}

fn same(headers: &HeaderMap) -> BTreeMap<&str, &[u8]> {
    let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    all.filter(|(name, _)| !VARYING.contains(name)).collect()
}

//! The sample application behind the server sidecar.
//!
//! `/items` takes GET, POST and DELETE; `/slow?ms=N` waits; `/status/NNN` answers with that status; anything else is 404.
//! Every path takes `?ms=N` (wait so long first), `/items` also `?status=NNN` (fail so).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const LONGEST_WAIT_MS: u64 = 10_000;
const DEFAULT_SLOW_MS: u64 = 200;

/// Serves in the background until the runtime ends.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream));
        }
    });
    Ok(())
}

async fn converse(stream: TcpStream) {
    let builder = Builder::new(TokioExecutor::new());
    // The peer closing its connection is no news.
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let reply =
        Reply::to(&head.method, head.uri.path(), head.uri.query().unwrap_or_default(), &body);
    sleep(Duration::from_millis(reply.wait_ms)).await;
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = reply.status;
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: StatusCode,
    wait_ms: u64,
    body: &'static str,
}

impl Reply {
    fn to(method: &Method, path: &str, query: &str, body: &[u8]) -> Self {
        let wait_ms = number(query, "ms");
        let default_ms = if path == "/slow" { DEFAULT_SLOW_MS } else { 0 };
        let (status, body) = match path {
            "/items" => items(method, query, body),
            "/slow" => (StatusCode::OK, "slow\n"),
            _ => other(path),
        };
        Self { status, wait_ms: wait_ms.unwrap_or(default_ms).min(LONGEST_WAIT_MS), body }
    }
}

fn items(method: &Method, query: &str, body: &[u8]) -> (StatusCode, &'static str) {
    if let Some(status) = number(query, "status").and_then(status) {
        return (status, "as asked\n");
    }
    match *method {
        Method::GET => (StatusCode::OK, "[\"one\",\"two\"]\n"),
        Method::POST if body.is_empty() => (StatusCode::BAD_REQUEST, "an item is missing\n"),
        Method::POST => (StatusCode::CREATED, "created\n"),
        Method::DELETE => (StatusCode::NO_CONTENT, ""),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "GET, POST or DELETE\n"),
    }
}

fn other(path: &str) -> (StatusCode, &'static str) {
    let asked = path.strip_prefix("/status/").and_then(|code| code.parse().ok()).and_then(status);
    asked.map_or((StatusCode::NOT_FOUND, "no such path\n"), |status| (status, ""))
}

fn status(code: u64) -> Option<StatusCode> {
    // A 1xx is not a final answer.
    let code = u16::try_from(code).ok().filter(|code| (200..=599).contains(code))?;
    StatusCode::from_u16(code).ok()
}

fn number(query: &str, key: &str) -> Option<u64> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(k, _)| *k == key)?
        .1
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::Reply;

    fn reply(method: Method, path: &str, query: &str, body: &str) -> (u16, u64) {
        let reply = Reply::to(&method, path, query, body.as_bytes());
        (reply.status.as_u16(), reply.wait_ms)
    }

    #[test]
    fn items_takes_three_methods() {
        assert_eq!(reply(Method::GET, "/items", "", ""), (200, 0));
        assert_eq!(reply(Method::POST, "/items", "", "three"), (201, 0));
        assert_eq!(reply(Method::POST, "/items", "", ""), (400, 0));
        assert_eq!(reply(Method::DELETE, "/items", "", ""), (204, 0));
        assert_eq!(reply(Method::PUT, "/items", "", "three"), (405, 0));
        assert_eq!(reply(Method::GET, "/items", "ms=30&status=503", ""), (503, 30));
    }

    #[test]
    fn other_paths_wait_fail_or_are_unknown() {
        assert_eq!(reply(Method::GET, "/slow", "ms=20", ""), (200, 20));
        assert_eq!(reply(Method::GET, "/slow", "", ""), (200, 200));
        assert_eq!(reply(Method::GET, "/slow", "ms=99999999", ""), (200, 10_000));
        assert_eq!(reply(Method::GET, "/status/429", "", ""), (429, 0));
        assert_eq!(reply(Method::GET, "/status/100", "", ""), (404, 0));
        assert_eq!(reply(Method::GET, "/status/99999", "", ""), (404, 0));
        assert_eq!(reply(Method::GET, "/items/1", "", ""), (404, 0));
    }
}

//! Clients: one connection per request, HTTP/1.1 or HTTP/2, and one that goes away.

use crate::case::{Fault, Request, Response};
use crate::engine::Headers;
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

/// Tells the proxy's routes and the upstream which request of a case this is.
pub const INDEX_HEADER: &str = "x-request-index";

/// Longest wait for a response.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a client waits before it goes away: the upstream has the request by then.
const ABORT_AFTER: Duration = Duration::from_millis(60);

/// A response taken as a whole; its body may have broken off.
struct Answer {
    status: StatusCode,
    headers: Headers,
    body: Vec<u8>,
}

/// A connection's task, which ends with the exchange: dropping it closes the connection.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a case's request and takes the whole response, however it ends.
///
/// The headers of the response; `None` when the client went away before.
///
/// # Errors
/// When the proxy's status is not the one the case tells.
pub async fn send(
    port: u16,
    index: usize,
    request: &Request,
    response: &Response,
) -> Result<Option<Headers>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let exchange = exchange(stream, message(index, request)?, request.grpc);
    if response.fault == Fault::AbortByClient {
        ensure!(tokio::time::timeout(ABORT_AFTER, exchange).await.is_err(), "answered too early");
        return Ok(None);
    }
    let answer = tokio::time::timeout(PATIENCE, exchange).await.context("no response")??;
    let status = answer.status.as_u16();
    ensure!(status == response.status, "status {status} instead of {}", response.status);
    Ok(Some(answer.headers))
}

/// Headers by name; several values of one joined by commas.
pub(crate) fn headers(map: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in map {
        let joined = headers.entry(name.to_string()).or_default();
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend(value.as_bytes());
    }
    headers
}

/// Sends one HTTP/1.1 request on a connection of its own.
///
/// # Errors
/// No response in time, or one that breaks off.
pub async fn call(
    port: u16,
    request: hyper::Request<Full<Bytes>>,
) -> Result<hyper::Response<Bytes>> {
    let exchange = async {
        let stream = TokioIo::new(TcpStream::connect(("127.0.0.1", port)).await?);
        let (mut sender, connection) = http1::handshake(stream).await?;
        let _connection = Connection(tokio::spawn(connection).abort_handle());
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(hyper::Response::from_parts(head, body.collect().await?.to_bytes()))
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no response")?
}

/// Writes bytes as they are and reads until the other side closes.
///
/// # Errors
/// No connection, or none that is closed in time.
pub async fn raw(port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("not closed")?
}

/// Writes the same on several connections and reads from each up to the first `end`.
///
/// All are open before the first is written to, and as long as one is read from: a listener that balances connections
/// exactly gives each worker as many.
///
/// # Errors
/// No connection, or one that ends before.
pub async fn side_by_side(
    port: u16,
    connections: u32,
    bytes: &[u8],
    end: &[u8],
) -> Result<Vec<Vec<u8>>> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(TcpStream::connect(("127.0.0.1", port)).await?);
    }
    for stream in &mut streams {
        stream.write_all(bytes).await?;
    }
    let mut answers = Vec::new();
    for stream in &mut streams {
        let mut answer = Vec::new();
        while !answer.windows(end.len()).any(|part| part == end) {
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await;
            let read = read.context("no answer")??;
            ensure!(read > 0, "the answer is {}", String::from_utf8_lossy(&answer));
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// Gets a page over TCP.
///
/// # Errors
/// No connection, or another status than 200.
pub async fn get(port: u16, path: &str) -> Result<String> {
    page(TcpStream::connect(("127.0.0.1", port)).await?, Method::GET, path).await
}

/// Gets a page over a Unix socket.
///
/// # Errors
/// No connection, or another status than 200.
pub async fn get_unix(socket: &Path, path: &str) -> Result<String> {
    page(UnixStream::connect(socket).await?, Method::GET, path).await
}

/// Posts nothing to a page over a Unix socket, which is how an admin is asked to do something.
///
/// # Errors
/// No connection, or another status than 200.
pub async fn post_unix(socket: &Path, path: &str) -> Result<String> {
    page(UnixStream::connect(socket).await?, Method::POST, path).await
}

async fn page<S>(stream: S, method: Method, path: &str) -> Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let message = hyper::Request::builder().method(method).uri(path).header("host", "localhost");
    let message = message.body(Full::default())?;
    let answer = exchange(stream, message, false).await?;
    ensure!(answer.status == StatusCode::OK, "{path}: {}", answer.status);
    Ok(String::from_utf8(answer.body)?)
}

fn message(index: usize, request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
    let uri = match request.grpc {
        true => format!("http://{}{}", request.host, request.path),
        false => request.path.clone(),
    };
    let mut message = hyper::Request::builder()
        .method(Method::from_bytes(request.method.as_bytes())?)
        .uri(uri)
        .header(INDEX_HEADER, index);
    if !request.grpc {
        message = message.header("host", &request.host);
    }
    for (name, value) in request.all_headers() {
        message = message.header(name, value);
    }
    Ok(message.body(Full::from(request.body()))?)
}

async fn exchange<S>(stream: S, message: hyper::Request<Full<Bytes>>, http2: bool) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        let _connection = Connection(tokio::spawn(connection).abort_handle());
        return Ok(take(sender.send_request(message).await?).await);
    }
    let (mut sender, connection) = http1::handshake(io).await?;
    let _connection = Connection(tokio::spawn(connection).abort_handle());
    Ok(take(sender.send_request(message).await?).await)
}

async fn take(response: hyper::Response<Incoming>) -> Answer {
    let status = response.status();
    let headers = headers(response.headers());
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    // A body that breaks off is what some cases are about.
    while let Some(Ok(frame)) = incoming.frame().await {
        body.extend(frame.into_data().unwrap_or_default());
    }
    Answer { status, headers, body }
}

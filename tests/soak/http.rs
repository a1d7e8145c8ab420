//! Clients over HTTP/1.1 and HTTP/2, some of which go away, read slowly or write slowly.

use crate::ledger::Ledger;
use crate::upstream::{BYTES, ID, KIND, STATUS, Shared};
use anyhow::{Context, Result, bail, ensure};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Size of an answer that is read slowly: more than every buffer on its way.
const LARGE: usize = 6 * 1024 * 1024;

/// Streams of a connection that are given up: at five hundred Envoy takes it for an attack and closes the connection.
const ABORTS: u64 = 100;

type Body = UnsyncBoxBody<Bytes, Infallible>;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A client of one kind of exchange, at the client's sidecar.
pub struct Client {
    kind: &'static str,
    port: u16,
    ledger: Ledger,
    shared: Shared,
    /// A connection that is used again.
    first: Option<http1::SendRequest<Body>>,
    second: Option<http2::SendRequest<Body>>,
    sent: u64,
}

// === impl Client ===

impl Client {
    /// Connects when it has to.
    pub fn new(kind: &'static str, port: u16, ledger: Ledger, shared: Shared) -> Self {
        Self { kind, port, ledger, shared, first: None, second: None, sent: 0 }
    }

    /// One exchange, from its beginning to its end.
    ///
    /// # Errors
    /// When it takes a course that its kind does not allow.
    pub async fn exchange(&mut self) -> Result<()> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        self.sent += 1;
        let kind = self.kind;
        match kind {
            "abort" => self.abort(id).await,
            "h2-abort" => self.abort_stream(id).await,
            "slow" => self.read_slowly(id).await,
            _ => timeout(PATIENCE, self.ask(id)).await.context("no answer")?,
        }
        .with_context(|| format!("{kind}, request {id}"))
    }

    /// A request that is answered with a status.
    async fn ask(&mut self, id: u64) -> Result<()> {
        let statuses = ["404", "500", "201", "429", "503", "204"];
        let status = statuses[usize::try_from(self.sent)? % statuses.len()];
        let request = self.request(id);
        let request = match self.kind {
            "status" => request.header(STATUS, status).body(empty())?,
            "upload" => request.method("POST").header(BYTES, 40_000).body(written_slowly())?,
            _ => request.header(BYTES, self.sent % 7 * 300).body(empty())?,
        };
        let response = if self.kind.starts_with("h2") {
            self.over_http2(request).await
        } else {
            self.over_http1(request).await
        }?;
        let status = response.status().as_u16();
        let closes = response.headers().get("connection").is_some_and(|value| value == "close");
        self.ledger.add(self.kind, &status.to_string(), 1);
        let whole = response.into_body().collect().await.is_ok();
        if !whole || closes {
            self.first = None;
        }
        let allowed = match self.kind {
            "midbody" => status == 200 && !whole,
            "timeout" => status == 504,
            "reset" | "h2-reset" => status == 503,
            "restart" => status == 503 || status == 200,
            "status" => whole,
            _ => status == 200 && whole,
        };
        ensure!(allowed, "status {status}, whole: {whole}");
        Ok(())
    }

    /// Goes away when the upstream has the request.
    async fn abort(&mut self, id: u64) -> Result<()> {
        let arrival = self.shared.arrival(id);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(&self.head(id, 0)).await?;
        timeout(PATIENCE, arrival).await.context("it did not arrive")??;
        if self.sent.is_multiple_of(2) {
            // A reset in place of an orderly end.
            stream.set_zero_linger()?;
        }
        self.ledger.add(self.kind, "0", 1);
        Ok(())
    }

    /// The same for one stream of a connection that goes on.
    async fn abort_stream(&mut self, id: u64) -> Result<()> {
        if self.sent.is_multiple_of(ABORTS) {
            self.second = None;
        }
        let arrival = self.shared.arrival(id);
        let request = self.request(id).body(empty())?;
        let answer = self.over_http2(request);
        tokio::select! {
            answered = answer => bail!("answered: {:?}", answered?.status()),
            arrived = timeout(PATIENCE, arrival) => arrived.context("it did not arrive")??,
        }
        self.ledger.add(self.kind, "0", 1);
        Ok(())
    }

    /// Reads a large answer in small pieces.
    async fn read_slowly(&mut self, id: u64) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(&self.head(id, LARGE)).await?;
        let mut answer = Vec::new();
        let mut whole = usize::MAX;
        while answer.len() < whole {
            let piece = &mut [0; 128 * 1024];
            let read = timeout(PATIENCE, stream.read(piece)).await.context("no more comes")??;
            ensure!(read > 0, "closed after {} bytes", answer.len());
            answer.extend_from_slice(&piece[..read]);
            if let Some(head) = answer.windows(4).take(4_096).position(|end| end == b"\r\n\r\n") {
                whole = head + 4 + LARGE;
            }
            sleep(Duration::from_millis(10)).await;
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200") && answer.len() == whole, "not as asked");
        self.ledger.add(self.kind, "200", 1);
        Ok(())
    }

    /// A request as it goes over the wire.
    fn head(&self, id: u64, bytes: usize) -> Vec<u8> {
        let kind = self.kind;
        format!(
            "GET /items/{} HTTP/1.1\r\nhost: ratings\r\n\
            {KIND}: {kind}\r\n{ID}: {id}\r\n{BYTES}: {bytes}\r\n\r\n",
            id % 100
        )
        .into_bytes()
    }

    fn request(&self, id: u64) -> hyper::http::request::Builder {
        let path = format!("/items/{}", id % 100);
        let request = match self.kind.starts_with("h2") {
            true => hyper::Request::get(format!("http://ratings{path}")),
            false => hyper::Request::get(path).header("host", "ratings"),
        };
        request.header(KIND, self.kind).header(ID, id)
    }

    async fn over_http1(
        &mut self,
        request: hyper::Request<Body>,
    ) -> Result<hyper::Response<Incoming>> {
        let mut sender = match self.first.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        self.first = Some(sender);
        Ok(response)
    }

    async fn over_http2(
        &mut self,
        request: hyper::Request<Body>,
    ) -> Result<hyper::Response<Incoming>> {
        if self.second.as_ref().is_none_or(http2::SendRequest::is_closed) {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.set_nodelay(true)?;
            let executor = TokioExecutor::new();
            let (sender, connection) = http2::handshake(executor, TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.second = Some(sender);
        }
        let sender = self.second.as_mut().context("a connection")?;
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }
}

fn empty() -> Body {
    Full::default().boxed_unsync()
}

/// Forty thousand bytes in ten pieces.
fn written_slowly() -> Body {
    let (sender, frames) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..10 {
            let piece = Frame::data(Bytes::from_static(&[b'u'; 4_000]));
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(15)).await;
        }
    });
    StreamBody::new(ReceiverStream::new(frames)).boxed_unsync()
}

//! Applications behind the server's sidecar, which do as each request asks: answer, answer late, break off, or fail once.

use crate::ledger::Ledger;
use anyhow::Result;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use support::grpc;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

/// Says what kind of exchange a request is.
pub const KIND: &str = "x-kind";
/// A number that no two requests share.
pub const ID: &str = "x-id";
/// Asks for a status.
pub const STATUS: &str = "x-status";
/// Asks for so many bytes.
pub const BYTES: &str = "x-bytes";

type Answer = hyper::Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What all connections of an upstream share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// What arrived, and what was answered.
    pub ledger: Ledger,
    waiting: Arc<Mutex<BTreeMap<u64, oneshot::Sender<()>>>>,
    failed_once: Arc<Mutex<BTreeSet<u64>>>,
}

/// A running upstream; dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    /// Its port on the loopback address.
    pub port: u16,
    task: JoinHandle<()>,
}

// === impl Shared ===

impl Shared {
    /// Is told when the request with this number arrives.
    pub fn arrival(&self, id: u64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        receiver
    }

    fn arrived(&self, id: u64) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(sender) = sender {
            // The client may have given up, which it tells itself.
            let _ = sender.send(());
        }
    }

    fn fails_first(&self, id: u64) -> bool {
        let mut failed = self.failed_once.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(id) || !failed.remove(&id)
    }
}

// === impl Upstream ===

impl Upstream {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(shared: Shared) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Ok(Self { port, task })
    }

    /// Starts one that goes away every `up`, with all its connections, and is back after `down`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn restarting(shared: Shared, up: Duration, down: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut listener = Some(listener);
            loop {
                let Some(current) = listener.take().or_else(|| listen(port).ok()) else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let mut connections = JoinSet::new();
                let accept = async {
                    while let Ok((stream, _)) = current.accept().await {
                        connections.spawn(serve(stream, shared.clone()));
                    }
                };
                let _ = tokio::time::timeout(up, accept).await;
                drop(current);
                connections.shutdown().await;
                tokio::time::sleep(down).await;
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(1024)
}

async fn serve(stream: TcpStream, shared: Shared) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, shared.clone()));
    let builder = auto::Builder::new(TokioExecutor::new());
    // Connections that break are what this is about.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: hyper::Request<Incoming>, shared: Shared) -> io::Result<Answer> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let number = |name: &str| header(name).parse::<u64>().unwrap_or_default();
    let (kind, id) = (header(KIND), number(ID));
    let seen = |code: &str| shared.ledger.add(&kind, code, 1);
    if request.uri().path().starts_with("/ratings.Ratings/") {
        seen("200");
        let Ok(answer) = grpc::serve(request).await;
        let boxed = |body: tonic::body::Body| body.map_err(io::Error::other).boxed_unsync();
        return Ok(answer.map(boxed));
    }
    let size = usize::try_from(number(BYTES)).unwrap_or_default();
    match kind.as_str() {
        "abort" | "h2-abort" | "timeout" => {
            seen("0");
            shared.arrived(id);
            std::future::pending().await
        }
        "reset" | "h2-reset" => {
            seen("503");
            Err(io::ErrorKind::ConnectionReset.into())
        }
        "midbody" => {
            seen("200");
            Ok(breaks_off())
        }
        "retry" if shared.fails_first(id) => {
            seen("503");
            whole(503, 0)
        }
        "upload" => {
            let body = request.into_body().collect().await.map_err(io::Error::other)?;
            let status = if body.to_bytes().len() == size { 200 } else { 400 };
            shared.ledger.add(&kind, &status.to_string(), 1);
            whole(status, 2)
        }
        "status" => {
            let status = header(STATUS);
            seen(&status);
            whole(status.parse().unwrap_or_default(), size)
        }
        _ => {
            seen("200");
            whole(200, size)
        }
    }
}

fn whole(status: u16, size: usize) -> io::Result<Answer> {
    let body = Full::new(Bytes::from(vec![b'x'; size])).map_err(|never| match never {});
    let mut answer = hyper::Response::new(body.boxed_unsync());
    *answer.status_mut() = status.try_into().map_err(io::Error::other)?;
    Ok(answer)
}

/// A body whose connection breaks when a part of it has been sent.
fn breaks_off() -> Answer {
    let (sender, frames) = mpsc::channel(1);
    tokio::spawn(async move {
        let _ = sender.send(Ok(Frame::data(Bytes::from_static(&[b'x'; 1000])))).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _ = sender.send(Err(io::ErrorKind::ConnectionReset.into())).await;
    });
    hyper::Response::new(StreamBody::new(ReceiverStream::new(frames)).boxed_unsync())
}

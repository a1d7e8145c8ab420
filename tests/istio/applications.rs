//! The application of a pod: it answers HTTP/1.1 and HTTP/2, and keeps the headers of what it was sent.

use crate::network::Network;
use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The status that it answers with; 200 without this header.
pub const STATUS_HEADER: &str = "x-answer-status";
/// How many milliseconds it waits before it answers; none without this header.
pub const DELAY_HEADER: &str = "x-answer-after-ms";

/// A running application; dropping it stops it.
#[derive(Debug)]
pub struct Application {
    received: Received,
    task: JoinHandle<()>,
}

/// What it was sent: path and headers.
type Received = Arc<Mutex<Vec<(String, HeaderMap)>>>;

// === impl Application ===

impl Application {
    /// Starts it in a pod.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(network: &Network, port: u16) -> Result<Self> {
        Self::serve(network.listen(port)?)
    }

    /// Starts one outside of the mesh.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn on_node(address: SocketAddr) -> Result<Self> {
        Self::serve(std::net::TcpListener::bind(address)?)
    }

    fn serve(listener: std::net::TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let received = Received::default();
        let log = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log)));
            }
        });
        Ok(Self { received, task })
    }

    /// Takes path and headers of all requests since the last time.
    pub fn take(&self) -> Vec<(String, HeaderMap)> {
        std::mem::take(&mut self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, received: Received) {
    let service = service_fn(move |request| answer(request, Arc::clone(&received)));
    let builder = auto::Builder::new(TokioExecutor::new());
    // The proxy may go away first.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, received: Received) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let asked = |name| head.headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    let (status, delay) = (asked(STATUS_HEADER), asked(DELAY_HEADER));
    tokio::time::sleep(Duration::from_millis(delay.unwrap_or(0).into())).await;
    let path = head.uri.path().to_owned();
    received.lock().unwrap_or_else(PoisonError::into_inner).push((path, head.headers));
    let response = Response::builder().status(status.unwrap_or(200));
    Ok(response.body(Full::from("answered\n"))?)
}

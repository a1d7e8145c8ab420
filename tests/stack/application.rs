//! The application behind the server's sidecar: HTTP that waits and fails as asked, and gRPC, on one port.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::time::Duration;
use support::grpc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;

/// A running application; dropping it stops it.
#[derive(Debug)]
pub struct Application {
    /// Its port on the loopback address.
    pub port: u16,
    task: JoinHandle<()>,
}

// === impl Application ===

impl Application {
    /// Starts on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // The proxy may go away first.
                    let _ =
                        builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                });
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return grpc::serve(request).await;
    }
    let asked = |name: &str| -> Option<u64> {
        let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name)?.1.parse().ok()
    };
    tokio::time::sleep(Duration::from_millis(asked("ms").unwrap_or(0))).await;
    let status = asked("status").and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
    let body = Body::new(Full::new(Bytes::from_static(b"ok")));
    Ok(Response::builder().status(status).body(body).unwrap_or_default())
}

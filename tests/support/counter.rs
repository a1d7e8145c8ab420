//! An HTTP/1.1 server that counts what arrives, and keeps nothing else: it may be a lot.

use anyhow::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server, which answers 200; dropping it stops it.
#[derive(Debug)]
pub struct Counter {
    /// Its port on the loopback address.
    pub port: u16,
    received: Arc<Mutex<BTreeMap<String, u64>>>,
    task: JoinHandle<()>,
}

// === impl Counter ===

impl Counter {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let received = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let counts = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An answer of two packets would wait for the first one's acknowledgement.
                let _ = stream.set_nodelay(true);
                let counts = Arc::clone(&counts);
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    *counts.entry(request.uri().path().to_owned()).or_default() += 1;
                    let answer = hyper::Response::new(Full::new(Bytes::from_static(b"ok")));
                    async { Ok::<_, Infallible>(answer) }
                });
                // The proxy may go away first.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { port, received, task })
    }

    /// How many requests there were for a path.
    pub fn of(&self, path: &str) -> u64 {
        let counts = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(path).copied().unwrap_or_default()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

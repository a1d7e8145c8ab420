//! Applications behind sidecars: one for HTTP that keeps what it was sent, one for TCP that says everything twice.

use anyhow::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An HTTP/1.1 server that answers 200; dropping it stops it.
#[derive(Debug)]
pub struct App {
    /// Its port on the loopback address.
    pub port: u16,
    requests: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    task: JoinHandle<()>,
}

/// A TCP server that sends back twice what it receives, so that both directions have counts of their own.
#[derive(Debug)]
pub struct Twice {
    /// Its port on the loopback address.
    pub port: u16,
    task: JoinHandle<()>,
}

// === impl App ===

impl App {
    /// Starts on a free port; every response carries `headers`.
    ///
    /// # Errors
    /// When no port is free, or a header cannot be one.
    pub async fn start(headers: &[(&str, &[u8])]) -> Result<Self> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| Ok((name.parse()?, HeaderValue::from_bytes(value)?)))
            .collect::<Result<Vec<(HeaderName, HeaderValue)>>>()?
            .into_iter()
            .collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let requests = Arc::default();
        let task = tokio::spawn(accept(listener, headers, Arc::clone(&requests)));
        Ok(Self { port, requests, task })
    }

    /// Headers of all requests so far.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn requests(&self) -> Vec<HeaderMap> {
        let requests = self.requests.lock().expect("no panic in the server");
        requests.iter().map(|(_, headers)| headers.clone()).collect()
    }

    /// Headers of the requests since this was asked last, which are forgotten.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn take(&self) -> Vec<HeaderMap> {
        let mut requests = self.requests.lock().expect("no panic in the server");
        requests.drain(..).map(|(_, headers)| headers).collect()
    }

    /// Targets of all requests so far: path and query.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn targets(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("no panic in the server");
        requests.iter().map(|(target, _)| target.clone()).collect()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Twice ===

impl Twice {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(say_twice(stream));
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    headers: HeaderMap,
    requests: Arc<Mutex<Vec<(String, HeaderMap)>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (headers, requests) = (headers.clone(), Arc::clone(&requests));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let came = (request.uri().to_string(), request.headers().clone());
            requests.lock().expect("no panic in the server").push(came);
            let mut response = hyper::Response::new(Full::new(Bytes::from_static(b"ok")));
            response.headers_mut().extend(headers.clone());
            async { Ok::<_, Infallible>(response) }
        });
        // The proxy may go away first.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn say_twice(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
        stream.write_all(&buffer[..n]).await?;
    }
}

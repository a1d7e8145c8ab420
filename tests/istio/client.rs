//! A client in a pod: one connection for each request.

use crate::network::Network;
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What sends requests to one address.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where connections start; the node without.
    pub from: Option<Arc<Network>>,
    /// Where they go.
    pub to: SocketAddr,
    /// Their `Host`.
    pub host: String,
}

/// Requests one after the other, for as long as something else takes; dropping it ends them.
#[derive(Debug)]
pub struct Stream {
    stop: tokio::sync::watch::Sender<bool>,
    task: JoinHandle<Result<Vec<u16>>>,
}

// === impl Client ===

impl Client {
    /// From the node.
    pub fn of_node(to: SocketAddr) -> Self {
        Self { from: None, to, host: to.to_string() }
    }

    /// Gets a path and gives the status.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> Result<u16> {
        Ok(self.send("GET", path, &[]).await?.status().as_u16())
    }

    /// Gets a page.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn page(&self, path: &str) -> Result<String> {
        let response = self.send("GET", path, &[]).await?;
        ensure!(response.status() == 200, "{}{path}: {}", self.to, response.status());
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    /// Sends a request and takes the whole answer.
    ///
    /// # Errors
    /// No answer in time, or one that breaks off.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::<Bytes>::default())?;
        let exchange = async {
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(self.connect().await?)).await?;
            let connection = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            connection.abort();
            Ok(Response::from_parts(head, body))
        };
        let what = || format!("{method} {path} of {} at {}", self.host, self.to);
        tokio::time::timeout(PATIENCE, exchange).await.with_context(what)?
    }

    /// Gets a path so many times and gives the statuses.
    ///
    /// # Errors
    /// No answer.
    pub async fn get_times(&self, path: &str, times: usize) -> Result<Vec<u16>> {
        let mut statuses = Vec::with_capacity(times);
        for _ in 0..times {
            statuses.push(self.get(path).await?);
        }
        Ok(statuses)
    }

    /// Gets a path again and again until [`Stream::stop`].
    pub fn stream(&self, path: &str) -> Stream {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (client, path) = (self.clone(), path.to_owned());
        let task = tokio::spawn(async move {
            let mut statuses = Vec::new();
            while !*stopped.borrow() {
                statuses.push(client.get(&path).await?);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(statuses)
        });
        Stream { stop, task }
    }

    async fn connect(&self) -> Result<TcpStream> {
        let Some(network) = self.from.clone() else {
            return Ok(TcpStream::connect(self.to).await?);
        };
        let to = self.to;
        let stream = tokio::task::spawn_blocking(move || network.connect(to)).await??;
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream)?)
    }
}

// === impl Stream ===

impl Stream {
    /// Ends it and gives the statuses of all answers.
    ///
    /// # Errors
    /// A request without an answer.
    pub async fn stop(mut self) -> Result<Vec<u16>> {
        self.stop.send_replace(true);
        (&mut self.task).await?
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

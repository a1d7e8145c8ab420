//! A small HTTP client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Keeps connections open between requests, as a service does.
#[derive(Clone, Debug)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// What came back, wholly read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
}

impl Http {
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub async fn get(&self, url: &str) -> Result<Answer> {
        self.send(Method::GET, url, None, "").await
    }

    /// Sends one request; `host` replaces the Host header the address would give.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        host: Option<&str>,
        body: &str,
    ) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(host) = host {
            request = request.header(hyper::header::HOST, host);
        }
        let request = request.body(Full::from(body.to_owned()))?;
        let exchange = async {
            let response = self.0.request(request).await?;
            let status = response.status();
            let bytes = response.into_body().collect().await?.to_bytes();
            anyhow::Ok(Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() })
        };
        let answer = timeout(ANSWER_LIMIT, exchange).await;
        ensure!(answer.is_ok(), "no answer from {url} within {} s", ANSWER_LIMIT.as_secs());
        answer?.with_context(|| format!("no answer from {url}"))
    }
}

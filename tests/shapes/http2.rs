//! The client for HTTP/2 with prior knowledge.

use crate::shape::{Message, Request};
use crate::wire::masked;
use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest wait for the end of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a request and gives the answer as text.
///
/// # Errors
/// No connection, or no end in time.
pub async fn send(port: u16, host: &str, request: &Request) -> Result<String> {
    let stream = TokioIo::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let connection = tokio::spawn(connection);
    let exchange = exchange(&mut sender, host, request);
    let text = match request.cancel.map(Duration::from_millis) {
        Some(time) => match tokio::time::timeout(time, exchange).await {
            Ok(answer) => answer?,
            Err(_) => "cancelled\n".to_owned(),
        },
        None => tokio::time::timeout(PATIENCE, exchange).await.context("no end")??,
    };
    if request.cancel.is_some() {
        // The reset goes out before the connection ends.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(sender);
    connection.abort();
    Ok(text)
}

async fn exchange(
    sender: &mut http2::SendRequest<
        http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>,
    >,
    host: &str,
    request: &Request,
) -> Result<String> {
    let uri = format!("http://{host}{}", request.path);
    let mut message = hyper::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        message = message.header(name, value);
    }
    let body = Full::new(Bytes::from(body(request)));
    let body = match request.trailers.is_empty() {
        true => body.boxed(),
        false => {
            let trailers = map(&request.trailers)?;
            body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed()
        }
    };
    let answer = match sender.send_request(message.body(body)?).await {
        Ok(answer) => answer,
        Err(error) => return Ok(format!("no answer: {}\n", reason(&error))),
    };
    let (head, mut body) = answer.into_parts();
    let mut lines = vec![format!("{}", head.status)];
    lines.extend(headers(&head.headers));
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => {
                ends.extend(frame.into_trailers().as_ref().map(headers).unwrap_or_default());
            }
            Err(error) => {
                // It goes on to be an error.
                ends.push(format!("broken off: {}", reason(&error)));
                break;
            }
        }
    }
    lines.push(format!("body {}: {}", bytes.len(), bytes.escape_ascii()));
    lines.extend(ends);
    Ok(masked(lines.iter().map(String::as_str)))
}

/// The body: gRPC's messages, or text.
pub fn body(request: &Request) -> Vec<u8> {
    let Some(messages) = &request.words else { return request.body.clone().into_bytes() };
    messages.iter().flat_map(framed).collect()
}

/// A message with gRPC's prefix: not compressed, and its length.
fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.words().encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("a short message").to_be_bytes();
    [&[0], length.as_slice(), &bytes].concat()
}

fn map(fields: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let fields = fields.iter().map(|(name, value)| {
        Ok((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?))
    });
    fields.collect()
}

fn headers(map: &HeaderMap) -> Vec<String> {
    map.iter().map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii())).collect()
}

/// Why it ended, as HTTP/2 has it.
fn reason(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

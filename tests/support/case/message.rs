//! Requests, responses, and what goes wrong with them.

use super::{Peer, Tick, Want};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Host or `:authority` header.
    pub host: String,
    /// Further headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Further headers whose values are any bytes, in hexadecimal.
    pub raw_headers: BTreeMap<String, String>,
    /// Whether it is a gRPC call: HTTP/2, `content-type: application/grpc` unless `headers` say otherwise.
    pub grpc: bool,
    /// Bytes of body.
    pub body_bytes: usize,
    /// gRPC messages in place of a body.
    pub messages: Option<u64>,
    /// How often it is sent.
    pub count: u32,
    /// Who sends it, as its headers tell.
    pub peer: Option<Peer>,
    /// The timer while it lasts.
    pub ticks: Vec<Tick>,
    /// The response to it; the case's when not given.
    pub response: Option<Response>,
    /// Headers of the request that the upstream has to get.
    pub upstream_headers: BTreeMap<String, Want>,
    /// Headers of the response that the client has to get.
    pub client_headers: BTreeMap<String, Want>,
}

/// A response, or what happens in its place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    /// Status that the client sees; 0 when it sees none.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Trailers.
    pub trailers: BTreeMap<String, String>,
    /// Bytes of body.
    pub body_bytes: usize,
    /// gRPC messages in place of a body.
    pub messages: Option<u64>,
    /// Who answers, as the headers tell.
    pub peer: Option<Peer>,
    /// How long the upstream waits before it answers.
    pub delay_ms: u64,
    /// How long it then waits between the headers and the body.
    pub pause_ms: u64,
    /// What goes wrong.
    pub fault: Fault,
    /// Envoy's response flags, in any order.
    pub flags: Vec<String>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing: the upstream answers.
    #[default]
    None,
    /// The upstream refuses the connection.
    Refuse,
    /// The upstream closes the connection instead of answering.
    Reset,
    /// The upstream closes the connection in the middle of the response's body.
    ResetMidBody,
    /// The upstream answers with something that is not HTTP.
    Garbage,
    /// The upstream answers later than the route's timeout (100 ms).
    Timeout,
    /// The client closes the connection before there is a response.
    AbortByClient,
    /// No route matches.
    NoRoute,
    /// The route leads to a cluster that does not exist.
    NoCluster,
    /// The cluster has no endpoint.
    NoEndpoint,
    /// The cluster's circuit breaker allows no request.
    Overflow,
    /// Envoy's fault filter answers in place of the upstream.
    InjectedAbort,
    /// Envoy's fault filter delays the request, the upstream answers.
    InjectedDelay,
    /// The route answers by itself.
    Direct,
}

/// A gRPC message on the wire: not compressed, three bytes long (gRPC over HTTP/2, Length-Prefixed-Message).
const MESSAGE: &[u8] = b"\0\0\0\0\x03abc";

// === impl Request ===

impl Request {
    /// Headers as the proxy sees them.
    pub fn all_headers(&self) -> BTreeMap<String, Vec<u8>> {
        let text = |(name, value): (&String, &String)| (name.clone(), value.clone().into_bytes());
        let mut headers: BTreeMap<_, _> = self.headers.iter().map(text).collect();
        headers.extend(self.raw_headers.iter().map(|(name, value)| (name.clone(), bytes(value))));
        headers.extend(self.peer.iter().flat_map(Peer::headers));
        if self.grpc {
            headers.entry("content-type".to_owned()).or_insert(b"application/grpc".to_vec());
            headers.entry("te".to_owned()).or_insert(b"trailers".to_vec());
        }
        headers
    }

    /// The body it is sent with.
    pub fn body(&self) -> Vec<u8> {
        body(self.messages, self.body_bytes)
    }
}

// === impl Response ===

impl Response {
    /// Headers that the upstream sends.
    pub fn all_headers(&self) -> BTreeMap<String, Vec<u8>> {
        let text = |(name, value): (&String, &String)| (name.clone(), value.clone().into_bytes());
        let mut headers: BTreeMap<_, _> = self.headers.iter().map(text).collect();
        headers.extend(self.peer.iter().flat_map(Peer::headers));
        headers
    }

    /// The body it is sent with.
    pub fn body(&self) -> Vec<u8> {
        body(self.messages, self.body_bytes)
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: "ratings:9080".to_owned(),
            headers: BTreeMap::new(),
            raw_headers: BTreeMap::new(),
            grpc: false,
            body_bytes: 0,
            messages: None,
            count: 1,
            peer: None,
            ticks: Vec::new(),
            response: None,
            upstream_headers: BTreeMap::new(),
            client_headers: BTreeMap::new(),
        }
    }
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: 200,
            headers: BTreeMap::new(),
            trailers: BTreeMap::new(),
            body_bytes: 2,
            messages: None,
            peer: None,
            delay_ms: 0,
            pause_ms: 0,
            fault: Fault::None,
            flags: Vec::new(),
        }
    }
}

fn body(messages: Option<u64>, bytes: usize) -> Vec<u8> {
    match messages {
        Some(count) => MESSAGE.repeat(usize::try_from(count).expect("few messages")),
        None => vec![b'x'; bytes],
    }
}

/// Bytes from hexadecimal.
///
/// # Panics
/// When a case's text is not hexadecimal.
fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(pair).collect()
}

//! A real upstream that behaves as a case tells it to, HTTP/1.1 and HTTP/2 on one port.

use crate::case::{Case, Fault, Response};
use crate::engine::Headers;
use crate::http::{INDEX_HEADER, headers};
use crate::tcp;
use anyhow::Result;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

/// A running upstream; dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    /// Its port on the loopback address.
    pub port: u16,
    received: Received,
    task: JoinHandle<()>,
}

/// Headers of the last request that arrived, by index.
type Received = Arc<Mutex<BTreeMap<usize, Headers>>>;

/// A body of frames that were decided before, and perhaps a broken connection in place of its end.
#[derive(Debug)]
struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    /// Holds the frames back until it is over.
    pause: Pin<Box<Sleep>>,
    /// Breaks the connection when it is over: by then what came before is on its way.
    breaks: Option<Pin<Box<Sleep>>>,
}

/// How long a response stays incomplete before the connection breaks.
const BREAK_AFTER: Duration = Duration::from_millis(30);

// === impl Upstream ===

impl Upstream {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(case: &Case) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let case = Arc::new(case.clone());
        let received = Received::default();
        let log = Arc::clone(&received);
        let task = tokio::spawn(async move {
            if case.is_tcp() {
                return tcp::serve(listener, case).await;
            }
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&case), Arc::clone(&log)));
            }
        });
        Ok(Self { port, received, task })
    }

    /// Headers of the last request with this index; `None` when none arrived.
    pub fn headers_of(&self, index: usize) -> Option<Headers> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.frames.is_empty() && self.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match &mut self.breaks {
            Some(sleep) => sleep.as_mut().poll(context).map(|()| Some(Err(broken()))),
            None => Poll::Ready(None),
        }
    }
}

async fn serve(stream: TcpStream, case: Arc<Case>, log: Received) {
    if case.requests.iter().any(|r| case.response_to(r).fault == Fault::Garbage) {
        // The proxy going away first is fine.
        let _ = garbage(stream).await;
        return;
    }
    let service = service_fn(move |request| answer(request, Arc::clone(&case), Arc::clone(&log)));
    let builder = auto::Builder::new(TokioExecutor::new());
    // Broken connections are what some cases are about.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn garbage(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let _some_of_the_request = stream.read(&mut buffer).await?;
    stream.write_all(b"\x00\x01 not http\r\n\r\n").await
}

async fn answer(
    request: hyper::Request<Incoming>,
    case: Arc<Case>,
    log: Received,
) -> io::Result<hyper::Response<Frames>> {
    let index = request.headers().get(INDEX_HEADER).and_then(|v| v.to_str().ok()?.parse().ok());
    let index: usize = index.ok_or_else(broken)?;
    let got = headers(request.headers());
    log.lock().unwrap_or_else(PoisonError::into_inner).insert(index, got);
    let body = request.into_body();
    let request = case.requests.get(index).ok_or_else(broken)?;
    let response = case.response_to(request);
    if response.fault == Fault::None && request.ticks.is_empty() {
        // Answered before its end, a request is cut off by the proxy wherever it has got to.
        body.collect().await.map_err(|_| broken())?;
    }
    let delay = match response.fault {
        Fault::Timeout | Fault::AbortByClient => Duration::from_secs(2),
        _ => Duration::from_millis(response.delay_ms),
    };
    tokio::time::sleep(delay).await;
    if response.fault == Fault::Reset {
        return Err(broken());
    }
    let mut out = hyper::Response::new(frames(response));
    *out.status_mut() = response.status.try_into().map_err(|_| broken())?;
    out.headers_mut().extend(header_map(&response.all_headers()));
    Ok(out)
}

fn frames(response: &Response) -> Frames {
    let mut frames = VecDeque::new();
    let body = response.body();
    if !body.is_empty() {
        frames.push_back(Frame::data(Bytes::from(body)));
    }
    let trailers = response.trailers.clone().into_iter();
    let trailers: Headers = trailers.map(|(name, value)| (name, value.into_bytes())).collect();
    if !trailers.is_empty() {
        frames.push_back(Frame::trailers(header_map(&trailers)));
    }
    let breaks = response.fault == Fault::ResetMidBody;
    let pause = Box::pin(tokio::time::sleep(Duration::from_millis(response.pause_ms)));
    Frames { frames, pause, breaks: breaks.then(|| Box::pin(tokio::time::sleep(BREAK_AFTER))) }
}

fn header_map(headers: &Headers) -> HeaderMap {
    let parse = |(name, value): (&String, &Vec<u8>)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a case's header name");
        (name, HeaderValue::from_bytes(value).expect("a case's header value"))
    };
    headers.iter().map(parse).collect()
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

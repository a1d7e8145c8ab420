//! The application behind a chain: HTTP/1.1, HTTP/2 with gRPC, and TCP, each on a port. It does what the shape says that
//! runs, and keeps what it received.

use crate::shape::{Shape, Step};
use crate::wire::{Wire, readable};
use anyhow::{Result, ensure};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::grpc;
use support::trio::Servers;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longest wait for the end of what has come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A running application; dropping it stops it.
#[derive(Debug)]
pub struct App {
    /// Its ports.
    pub servers: Servers,
    state: Arc<Mutex<State>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What it has to do, and what has come.
#[derive(Debug, Default)]
struct State {
    shape: Option<Shape>,
    times: usize,
    /// Requests and connections that are not over for it.
    running: usize,
    received: Vec<String>,
}

/// One server of it.
#[derive(Clone, Copy)]
enum Kind {
    Http,
    Grpc,
    Tcp,
}

type Shared = Arc<Mutex<State>>;

// === impl App ===

impl App {
    /// Starts on free ports.
    ///
    /// # Errors
    /// When there are none.
    pub async fn start() -> Result<Self> {
        let state = Shared::default();
        let mut tasks = Vec::new();
        let mut ports = Vec::new();
        for kind in [Kind::Http, Kind::Grpc, Kind::Tcp] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            ports.push(listener.local_addr()?.port());
            tasks.push(tokio::spawn(accept(listener, kind, Arc::clone(&state))));
        }
        let servers = Servers { http: ports[0], grpc: ports[1], tcp: ports[2] };
        Ok(Self { servers, state, tasks })
    }

    /// Does what a shape says from now on.
    pub fn play(&self, shape: &Shape) {
        *lock(&self.state) = State { shape: Some(shape.clone()), ..State::default() };
    }

    /// What came since, in a fixed order, once all of it is over.
    ///
    /// # Errors
    /// When something is not in time.
    pub async fn received(&self) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        while lock(&self.state).running > 0 {
            ensure!(Instant::now() < deadline, "the application still waits for an end");
            tokio::time::sleep(PAUSE).await;
        }
        let mut received = lock(&self.state).received.clone();
        received.sort();
        Ok(received)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

// === impl State ===

impl State {
    /// Begins with what has come: the steps of this time and the host's name.
    fn begin(&mut self) -> (Option<Vec<Step>>, String) {
        self.running += 1;
        let Some(shape) = &self.shape else { return (None, String::new()) };
        let steps = shape.app.get(self.times).or(shape.app.last());
        self.times += 1;
        (steps.cloned(), shape.name.clone())
    }

    /// Keeps what came when it is over.
    fn end(&mut self, received: String) {
        self.running = self.running.saturating_sub(1);
        self.received.push(received);
    }
}

fn lock(state: &Shared) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, kind: Kind, state: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            match kind {
                Kind::Http => http(Wire::of_server(stream), &state).await,
                Kind::Grpc => grpc(stream, state).await,
                Kind::Tcp => tcp(Wire::of_server(stream), &state).await,
            }
        });
    }
}

async fn http(mut wire: Wire, state: &Shared) {
    while wire.is_open() {
        wire.forget();
        // Proxies close what they keep, too.
        if !matches!(wire.until(b"\r\n\r\n").await, Ok(true)) {
            return;
        }
        let (steps, host) = lock(state).begin();
        let steps = steps.unwrap_or_else(|| vec![Step::Body, answer()]);
        // The other side may go away at any time: shapes are about that.
        let _ = wire.run(&steps, &host).await;
        lock(state).end(readable(wire.looked_at()));
    }
}

async fn tcp(mut wire: Wire, state: &Shared) {
    let (steps, host) = lock(state).begin();
    let _ = wire.run(&steps.unwrap_or_else(|| vec![Step::Echo]), &host).await;
    lock(state).end(readable(wire.looked_at()));
}

fn answer() -> Step {
    Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned())
}

/// gRPC; a shape with steps resets the stream.
async fn grpc(stream: TcpStream, state: Shared) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (steps, _) = lock(&state).begin();
        lock(&state).end(head(&request));
        async move {
            if steps.is_some() {
                return Err(std::io::Error::other("as asked"));
            }
            Ok(grpc::serve(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    // The proxy may go away first.
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn head(request: &hyper::Request<Incoming>) -> String {
    let mut lines = vec![format!("{} {}", request.method(), request.uri())];
    for (name, value) in request.headers() {
        lines.push(format!("{name}: {}", value.as_bytes().escape_ascii()));
    }
    crate::wire::masked(lines.iter().map(String::as_str))
}

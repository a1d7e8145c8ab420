//! What leaves a proxy as OpenTelemetry: a collector that takes it, and the backend the collector hands it to.
//!
//! ```text
//! Envoy -- OTLP/gRPC --> collector (Rotel, a process of its own) -- OTLP/HTTP --> Backend
//! ```
//! So whatever a test sees has been understood by a collector that people run.

use crate::envoy::folder;
use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use prost::Message;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longest wait for the collector to come up, and for what was sent to arrive.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Attributes of a span or of a data point.
pub type Attributes = BTreeMap<String, String>;

/// A running collector that hands on to a [`Backend`]; dropping it ends both.
#[derive(Debug)]
pub struct Collector {
    /// Port that takes OTLP over gRPC, on the loopback address.
    pub port: u16,
    /// Where it hands on to.
    pub backend: Backend,
    process: Child,
    folder: TempDir,
}

/// Takes OTLP over HTTP; dropping it stops it.
#[derive(Debug)]
pub struct Backend {
    port: u16,
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

/// Everything that has arrived.
#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    points: Vec<Point>,
    /// What could not be understood.
    problems: Vec<String>,
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Name of the operation.
    pub name: String,
    /// In hexadecimal, as in `traceparent`.
    pub trace: String,
    /// In hexadecimal.
    pub id: String,
    /// In hexadecimal; empty for a root.
    pub parent: String,
    /// Tags.
    pub attributes: Attributes,
}

/// A data point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Name of the metric.
    pub name: String,
    /// Labels.
    pub attributes: Attributes,
    /// What was measured.
    pub amount: Amount,
}

/// What a data point tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Of a counter, since it began.
    Sum(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram, since it began.
    Histogram {
        /// How many values.
        count: u64,
        /// Of all values.
        sum: f64,
    },
}

/// The collector to test with: `OPMETER_COLLECTOR`, a Rotel. Without one these tests pass without a run, and say so,
/// unless `OPMETER_REQUIRE_ENVOY` is set.
///
/// # Errors
/// When it is required and missing.
pub fn binary() -> Result<Option<PathBuf>, String> {
    match std::env::var_os("OPMETER_COLLECTOR") {
        Some(path) => Ok(Some(path.into())),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            Err("OPMETER_COLLECTOR is not set".to_owned())
        }
        None => {
            eprintln!("SKIPPED: OPMETER_COLLECTOR is not set, nothing went through a collector");
            Ok(None)
        }
    }
}

// === impl Collector ===

impl Collector {
    /// Starts a collector with a backend behind it, and waits until it accepts.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(binary: &Path) -> Result<Self> {
        let backend = Backend::start().await?;
        let folder = folder()?;
        let (grpc, http) = (free_port().await?, free_port().await?);
        let log = std::fs::File::create(folder.path().join("log"))?;
        let process = Command::new(binary)
            .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--batch-timeout", "20ms"])
            .args(["--otlp-exporter-endpoint", &format!("http://127.0.0.1:{}", backend.port)])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .arg("--pid-file")
            .arg(folder.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut collector = Self { port: grpc, backend, process, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", grpc)).await.is_err() {
            let ended = collector.process.try_wait()?;
            ensure!(ended.is_none(), "the collector ended:\n{}", collector.log());
            ensure!(Instant::now() < deadline, "the collector is not ready:\n{}", collector.log());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(collector)
    }

    /// What it logged.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Backend ===

impl Backend {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let received = Arc::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&received)));
        Ok(Self { port, received, task })
    }

    /// Waits until spans that fit have arrived, and gives them.
    ///
    /// # Errors
    /// When there are not `count` of them in time, or more.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub async fn spans(&self, count: usize, fits: impl Fn(&Span) -> bool) -> Result<Vec<Span>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (all, problems) = {
                let received = self.received.lock().expect("no panic in the server");
                (received.spans.clone(), received.problems.clone())
            };
            let found: Vec<Span> = all.iter().filter(|span| fits(span)).cloned().collect();
            if found.len() == count {
                return Ok(found);
            }
            if found.len() > count || Instant::now() > deadline {
                bail!("{} spans instead of {count} in {all:#?} {problems:?}", found.len());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The latest data point of each label set of a metric.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn latest(&self, metric: &str) -> Vec<(Attributes, Amount)> {
        let received = self.received.lock().expect("no panic in the server");
        let points = received.points.iter().filter(|point| point.name == metric);
        let latest: BTreeMap<_, _> = points.map(|p| (p.attributes.clone(), p.amount)).collect();
        latest.into_iter().collect()
    }

    /// Names of all metrics that have arrived, each once.
    ///
    /// # Panics
    /// When the server's task has panicked.
    pub fn metrics(&self) -> Vec<String> {
        let received = self.received.lock().expect("no panic in the server");
        let mut names: Vec<String> = received.points.iter().map(|p| p.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Received ===

impl Received {
    /// Takes a request whose body is compressed.
    fn take(&mut self, path: &str, compressed: &[u8]) -> Result<()> {
        let mut body = Vec::new();
        GzDecoder::new(compressed).read_to_end(&mut body)?;
        match path {
            "/v1/traces" => self.take_traces(ExportTraceServiceRequest::decode(&body[..])?),
            "/v1/metrics" => self.take_metrics(ExportMetricsServiceRequest::decode(&body[..])?),
            _ => bail!("nobody is there"),
        }
        Ok(())
    }

    fn take_traces(&mut self, request: ExportTraceServiceRequest) {
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.extend(scopes.flat_map(|scope| scope.spans).map(|span| Span {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            attributes: attributes(&span.attributes),
        }));
    }

    fn take_metrics(&mut self, request: ExportMetricsServiceRequest) {
        let scopes = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let name = metric.name;
            let point = |labels: &[KeyValue], amount| Point {
                name: name.clone(),
                attributes: attributes(labels),
                amount,
            };
            match metric.data {
                Some(Data::Sum(sum)) => self.points.extend(
                    sum.data_points
                        .iter()
                        .map(|p| point(&p.attributes, Amount::Sum(number(p.value.as_ref())))),
                ),
                Some(Data::Gauge(gauge)) => self.points.extend(
                    gauge
                        .data_points
                        .iter()
                        .map(|p| point(&p.attributes, Amount::Gauge(number(p.value.as_ref())))),
                ),
                Some(Data::Histogram(histogram)) => {
                    self.points.extend(histogram.data_points.iter().map(|p| {
                        let sum = p.sum.unwrap_or_default();
                        point(&p.attributes, Amount::Histogram { count: p.count, sum })
                    }));
                }
                _ => self.problems.push(format!("{name}: not a kind of metric that Envoy sends")),
            }
        }
    }
}

async fn accept(listener: TcpListener, received: Arc<Mutex<Received>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let received = Arc::clone(&received);
            async move {
                let path = request.uri().path().to_owned();
                if let Ok(body) = request.into_body().collect().await {
                    let mut received = received.lock().expect("no panic in the server");
                    if let Err(error) = received.take(&path, &body.to_bytes()) {
                        received.problems.push(format!("{path}: {error}"));
                    }
                }
                let response = hyper::Response::builder()
                    .header("content-type", "application/x-protobuf")
                    .body(Full::<Bytes>::default());
                Ok::<_, Infallible>(response.expect("a response"))
            }
        });
        // The collector may go away first.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    list.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of tests are small")]
fn number(value: Option<&number_data_point::Value>) -> f64 {
    match value {
        Some(number_data_point::Value::AsDouble(value)) => *value,
        Some(number_data_point::Value::AsInt(value)) => *value as f64,
        None => 0.0,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A port nobody listens on now: the collector cannot be asked which one it got.
async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

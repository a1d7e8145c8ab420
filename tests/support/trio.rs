//! Three proxies that are equal but for the module: without it, with it as filter, with it as access logger.
//!
//! ```text
//!            ┌── one Envoy ───────────────────────────────────┐
//! client ──► │ "entry": OUTBOUND ──► "in": INBOUND ──► clusters│ ──► application
//!            └────────────────────────────────────────────────┘
//! ```
//! All listeners of one Envoy share the plugin's configuration, and each writes an access log in JSON.

mod bootstrap;
mod clusters;
mod filters;
mod host;
mod listeners;
mod row;
mod tls;

pub use host::Settings;
pub use row::{Counts, Row};

use crate::engine::Mount;
use crate::envoy::{self, Envoy};
use crate::http;
use crate::module;
use crate::series::{Series, parse_scrape};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Metrics of the module about itself that say that something went wrong.
const TROUBLES: [&str; 5] = ["error", "rejected", "overflow", "duplicate", "unreadable"];

/// Ports of the application on the loopback address.
#[derive(Clone, Copy, Debug)]
pub struct Servers {
    /// HTTP/1.1.
    pub http: u16,
    /// HTTP/2 without TLS, gRPC.
    pub grpc: u16,
    /// TCP.
    pub tcp: u16,
}

/// A virtual host of each HTTP listener.
#[derive(Clone, Debug)]
pub struct Host {
    /// Of the listeners that look out.
    pub outbound: Value,
    /// Of those that look in.
    pub inbound: Value,
}

/// How a proxy has the module; empty without.
pub type Mounts = &'static [Mount];

/// One of the proxies.
#[derive(Debug)]
pub struct Proxy {
    /// The running proxy.
    pub envoy: Envoy,
    /// How it has the module.
    pub mounts: Mounts,
}

/// What a proxy has told since it started.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Lines of the access log.
    pub log: Vec<Line>,
    /// Requests and connections as the series count them.
    pub counted: Counts,
    /// Requests of a source that the destination does not know. What came as a request comes from the proxy before, which
    /// sends its metadata.
    pub strangers: u64,
    /// Connections by the metric of openings.
    pub opened: Counts,
    /// Bytes of connections.
    pub bytes: Bytes,
    /// Bytes of connections by the access log.
    pub logged_bytes: Bytes,
    /// Values of the module's metrics of what went wrong.
    pub troubles: BTreeMap<String, u64>,
}

/// One line of the access log.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the series have to say of it.
    pub row: Row,
    /// As it was written.
    pub text: String,
}

/// Received and sent bytes of connections by reporter.
pub type Bytes = BTreeMap<String, (u64, u64)>;

// === impl Proxy ===

impl Proxy {
    /// Starts an Envoy and waits until it accepts.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(
        binary: &Path,
        mounts: Mounts,
        servers: Servers,
        hosts: &[Host],
    ) -> Result<Self> {
        let folder = envoy::folder()?;
        let bootstrap = bootstrap::build(mounts, servers, hosts, folder.path(), module::path())?;
        let mut envoy = Envoy::start(binary, folder, &bootstrap, 1)?;
        ensure!(envoy.wait_until_up().await?, "Envoy ended:\n{}", envoy.log()?);
        Ok(Self { envoy, mounts })
    }

    /// What it has told until now.
    ///
    /// # Errors
    /// When the log or the scrape is not in its format.
    pub async fn told(&self) -> Result<Told> {
        let output = self.envoy.output()?;
        // The last line may be half there.
        let whole = output.rfind('\n').map_or("", |end| &output[..end]);
        let mut told = Told::default();
        for text in whole.lines() {
            let line: Value = serde_json::from_str(text).with_context(|| text.to_owned())?;
            let row = Row::of_log(&line).with_context(|| text.to_owned())?;
            if row.protocol == "tcp" {
                let bytes = |name: &str| line[name].as_u64().unwrap_or_default();
                add(&mut told.logged_bytes, &row.reporter, bytes("received"), bytes("sent"));
            }
            told.log.push(Line { row, text: text.to_owned() });
        }
        // Without histograms, which are most of what there is.
        let page = "/stats/prometheus?filter=^wasmcustom.*_total$";
        for series in parse_scrape(&http::get(self.envoy.metrics_port, page).await?)? {
            told.count(&series)?;
        }
        Ok(told)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mounts {
            [] => "without the module",
            [Mount::Filter] => "as filter",
            [Mount::AccessLogger] => "as access logger",
            _ => "as two filters and access logger",
        })
    }
}

// === impl Told ===

impl Told {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole and small"
    )]
    fn count(&mut self, series: &Series) -> Result<()> {
        let value = series.value as u64;
        let reporter = series.labels.get("reporter").cloned().unwrap_or_default();
        let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
        let read = !label("response_flags").contains("DPE");
        if series.name == "istio_requests_total" && reporter == "destination" && read {
            self.strangers += if label("source_workload") == "unknown" { value } else { 0 };
        }
        match series.name.as_str() {
            "istio_requests_total" | "istio_tcp_connections_closed_total" => {
                *self.counted.entry(Row::of_series(series)?).or_default() += value;
            }
            "istio_tcp_connections_opened_total" => {
                *self.opened.entry(Row::of_series(series)?).or_default() += value;
            }
            "istio_tcp_received_bytes_total" => add(&mut self.bytes, &reporter, value, 0),
            "istio_tcp_sent_bytes_total" => add(&mut self.bytes, &reporter, 0, value),
            name if name.starts_with("opmeter_") && TROUBLES.iter().any(|t| name.contains(t)) => {
                self.troubles.insert(name.to_owned(), value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lines of the access log after those of an earlier look.
    pub fn lines_after(&self, earlier: &Self) -> &[Line] {
        self.log.get(earlier.log.len()..).unwrap_or_default()
    }
}

fn add(bytes: &mut Bytes, reporter: &str, received: u64, sent: u64) {
    let sum = bytes.entry(reporter.to_owned()).or_default();
    *sum = (sum.0 + received, sum.1 + sent);
}

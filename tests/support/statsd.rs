//! What leaves a proxy as statsd: the server that takes it, and the Graphite the server hands it to.
//!
//! ```text
//! Envoy -- statsd/UDP --> statsd (Etsy's server, a process of its own) -- Graphite's lines/TCP --> Graphite
//! ```
//! So whatever a test sees has been understood by a server that people run.

use crate::envoy::folder;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// Longest wait for the server to come up.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the server hands on, in milliseconds.
const FLUSH: u32 = 200;

/// Runs the server under any Node: `util.log`, which it writes with, is gone from Node 23 on.
const START: &str = "require('util').log ??= console.log; require(process.argv[3])";

/// A running server that hands on to a Graphite; dropping it ends both.
#[derive(Debug)]
pub struct Statsd {
    /// Its UDP port on the loopback address.
    pub port: u16,
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
    process: Child,
    folder: TempDir,
}

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// By what the metric is called, tags included, as in `name;tag=value`.
    pub totals: BTreeMap<String, Total>,
    /// Lines that the server understood, and those that it did not.
    pub lines: (f64, f64),
}

/// What was added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// How many values a timer has had.
    pub count: f64,
    /// Sum of a counter or a timer; last value of a gauge.
    pub value: f64,
}

/// The server to test with: `OPMETER_STATSD`, its `stats.js`. Without one these tests pass without a run, and say so, unless
/// `OPMETER_REQUIRE_ENVOY` is set.
///
/// # Errors
/// When it is required and missing.
pub fn script() -> Result<Option<PathBuf>, String> {
    match std::env::var_os("OPMETER_STATSD") {
        Some(path) => Ok(Some(path.into())),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            Err("OPMETER_STATSD is not set".to_owned())
        }
        None => {
            eprintln!("SKIPPED: OPMETER_STATSD is not set, nothing went to a statsd server");
            Ok(None)
        }
    }
}

// === impl Statsd ===

impl Statsd {
    /// Starts it on free ports with a Graphite behind it, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(script: &Path) -> Result<Self> {
        let graphite = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = UdpSocket::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let management = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let folder = folder()?;
        let config = json!({
            "address": "127.0.0.1", "port": port,
            "mgmt_address": "127.0.0.1", "mgmt_port": management,
            "graphiteHost": "127.0.0.1", "graphitePort": graphite.local_addr()?.port(),
            "graphite": { "legacyNamespace": false },
            "flushInterval": FLUSH,
        });
        let file = folder.path().join("config.js");
        std::fs::write(&file, config.to_string())?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let process = Command::new("node")
            .args(["-e", START, "statsd"])
            .args([&file, script])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start node")?;
        let received = Arc::default();
        let task = tokio::spawn(accept(graphite, Arc::clone(&received)));
        let mut server = Self { port, received, task, process, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", management)).await.is_err() {
            let ended = server.process.try_wait()?;
            ensure!(ended.is_none(), "statsd ended:\n{}", server.log());
            ensure!(Instant::now() < deadline, "statsd is not ready:\n{}", server.log());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(server)
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When Graphite's task has panicked.
    pub fn received(&self) -> Received {
        self.received.lock().expect("no panic in the server").clone()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Statsd {
    fn drop(&mut self) {
        self.task.abort();
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Received ===

impl Received {
    /// Takes `stats.KIND.NAME.WHAT;tag=value VALUE TIME`; gauges have no `WHAT`.
    fn take(&mut self, line: &str) -> Option<()> {
        let mut words = line.rsplitn(3, ' ');
        let (value, path) = (words.nth(1)?.parse::<f64>().ok()?, words.next()?);
        match path {
            "stats.counters.statsd.metrics_received.count" => self.lines.0 += value,
            "stats.counters.statsd.bad_lines_seen.count" => self.lines.1 += value,
            _ => {}
        }
        let (kind, path) = path.strip_prefix("stats.")?.split_once('.')?;
        let (head, tags) = path.split_at(path.find(';').unwrap_or(path.len()));
        if kind == "gauges" {
            self.totals.entry(path.to_owned()).or_default().value = value;
            return Some(());
        }
        let (name, what) = head.rsplit_once('.')?;
        let total = self.totals.entry(format!("{name}{tags}")).or_default();
        match (kind, what) {
            ("counters", "count") | ("timers", "sum") => total.value += value,
            ("timers", "count") => total.count += value,
            _ => {}
        }
        Some(())
    }
}

/// Graphite: one connection for each flush.
async fn accept(listener: TcpListener, received: Arc<Mutex<Received>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            received.lock().expect("no panic in the server").take(&line);
        }
    }
}

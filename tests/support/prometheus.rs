//! A real Prometheus, with the repository's configurations moved to where a test's parts listen.

use crate::http;
use anyhow::{Context, Result, bail, ensure};
use opmeter_boards::answer::{self, Series};
use opmeter_boards::query;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for it to come up, and for what it is to scrape.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A running Prometheus; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    folder: TempDir,
    /// Its port on the loopback address.
    pub port: u16,
}

/// One target of a scrape: its port on the loopback address, and labels.
pub type Target<'a> = (u16, &'a [(&'a str, &'a str)]);

/// The Prometheus to test with: `OPMETER_PROMETHEUS`; promtool lies beside it. Without one these tests pass without a run,
/// and say so, unless `OPMETER_REQUIRE_ENVOY` is set.
///
/// # Errors
/// When it is required and missing.
pub fn binary() -> Result<Option<PathBuf>, String> {
    match std::env::var_os("OPMETER_PROMETHEUS") {
        Some(path) => Ok(Some(path.into())),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            Err("OPMETER_PROMETHEUS is not set".to_owned())
        }
        None => {
            eprintln!("SKIPPED: OPMETER_PROMETHEUS is not set, nothing ran on a real Prometheus");
            Ok(None)
        }
    }
}

/// Runs promtool; what it said.
///
/// # Errors
/// When it ends with a failure.
pub fn promtool(prometheus: &Path, arguments: &[&str]) -> Result<String> {
    let tool = prometheus.with_file_name("promtool");
    let output = Command::new(&tool)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", tool.display()))?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "promtool {arguments:?}: {}", text.concat());
    Ok(text.concat())
}

/// Puts targets in the place of a job's own, and an interval in the place of all.
///
/// # Errors
/// When there is no such job.
pub fn place(config: &mut Value, job: &str, targets: &[Target<'_>], interval: &str) -> Result<()> {
    for name in ["scrape_interval", "evaluation_interval"] {
        config["global"][name] = interval.into();
    }
    let jobs = config["scrape_configs"].as_array_mut().context("no scrape_configs")?;
    let job = jobs.iter_mut().find(|j| j["job_name"] == job).context("no such job")?;
    let groups: Vec<Value> = targets
        .iter()
        .map(|(port, labels)| {
            let labels: serde_json::Map<String, Value> =
                labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            json!({ "targets": [format!("127.0.0.1:{port}")], "labels": labels })
        })
        .collect();
    job["static_configs"] = groups.into();
    Ok(())
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts it on a free port and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(binary: &Path, config: &Value) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("opmeter").tempdir()?;
        let file = folder.path().join("prometheus.json");
        std::fs::write(&file, config.to_string())?;
        // It cannot be asked which port it got, so it is given one that is free now.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let process = Command::new(binary)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut started = Self { process, folder, port };
        started.wait_until_up().await?;
        Ok(started)
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            ensure!(self.process.try_wait()?.is_none(), "Prometheus ended:\n{}", self.log()?);
            if http::get(self.port, "/-/ready").await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("Prometheus is not ready:\n{}", self.log()?)
    }

    /// What it logged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Value of an expression now.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn now(&self, expr: &str) -> Result<Vec<Series>> {
        self.ask(&query::instant(expr)).await.with_context(|| expr.to_owned())
    }

    /// Value of an expression at a time, in seconds since 1970.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn at(&self, expr: &str, time: f64) -> Result<Vec<Series>> {
        self.ask(&query::at(expr, time)).await.with_context(|| expr.to_owned())
    }

    /// The only value of an expression at a time.
    ///
    /// # Errors
    /// When it is refused, or has none or several.
    pub async fn one_at(&self, expr: &str, time: f64) -> Result<f64> {
        let series = self.at(expr, time).await?;
        match series.as_slice() {
            [one] => one.last().context("no value"),
            _ => bail!("{} series of {expr}", series.len()),
        }
    }

    /// Waits until an expression has a value, and gives it.
    ///
    /// # Errors
    /// When it is refused, or stays without one.
    pub async fn when(&self, expr: &str) -> Result<Vec<Series>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let series = self.now(expr).await?;
            if !series.is_empty() {
                return Ok(series);
            }
            ensure!(Instant::now() < deadline, "nothing for {expr}; log:\n{}", self.log()?);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, path: &str) -> Result<Vec<Series>> {
        answer::read(&http::get(self.port, path).await?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

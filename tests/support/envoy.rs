//! A real Envoy for one case: the module as an HTTP filter between a real client and a real upstream.

pub(crate) mod bootstrap;
pub mod directions;
mod filter_state;
mod restart;
mod shipped;
mod since;
mod tcp_chain;
pub(crate) mod tls;

pub use restart::Parent;

use crate::case::{Case, Tick};
use crate::check;
use crate::engine::{Mount, Outcome, Passed};
use crate::series::Series;
use crate::upstream::Upstream;
use crate::wasm_host::{problems, refusals};
use crate::{http, module, tcp};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use since::Page;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for Envoy to come up.
const START: Duration = Duration::from_secs(20);
/// Longest wait for the series a case expects: counters appear at once, histograms when Envoy merges them.
const SETTLE: Duration = Duration::from_secs(3);
/// Longest wait for what the timer brings; less than the pauses in which it fires.
const TICK: Duration = Duration::from_millis(700);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait before concluding that something is absent, when nothing else tells that the streams were logged.
const QUIET: Duration = Duration::from_millis(300);

/// A running Envoy; dropping it ends it.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    folder: TempDir,
    /// Port of the listener with the module; 0 until it is up.
    pub traffic_port: u16,
    /// Port that serves `/stats/prometheus`; 0 until it is up.
    pub metrics_port: u16,
    /// What it had counted before the case's traffic.
    before: Page,
}

/// The Envoy to test with: `OPMETER_ENVOY`. Without one these tests pass without a run, and say so, unless
/// `OPMETER_REQUIRE_ENVOY` is set.
///
/// # Errors
/// When it is required and missing.
pub fn binary() -> Result<Option<PathBuf>, String> {
    match std::env::var_os("OPMETER_ENVOY") {
        Some(path) => Ok(Some(path.into())),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            Err("OPMETER_ENVOY is not set".to_owned())
        }
        None => {
            eprintln!("SKIPPED: OPMETER_ENVOY is not set, nothing ran on a real Envoy");
            Ok(None)
        }
    }
}

/// Major and minor version of an Envoy, for what only newer ones have.
///
/// # Errors
/// When it cannot be run or does not tell.
pub fn version(binary: &Path) -> Result<(u32, u32)> {
    // `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    let output = Command::new(binary).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    let version = text.split('/').rev().nth(3).context("no version")?;
    let mut numbers = version.split('.').map(str::parse);
    let mut number = || numbers.next().context("no version");
    Ok((number()??, number()??))
}

/// Runs a case on a real Envoy.
///
/// # Errors
/// Envoy does not start though the configuration was not refused, or answers a request with another status.
pub fn run(case: &Case, mount: Mount, binary: &Path) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_async(case, mount, binary))
}

async fn run_async(case: &Case, mount: Mount, binary: &Path) -> Result<Outcome> {
    let upstream = Upstream::start(case).await?;
    let mut envoy = Envoy::launch(binary, case, mount, upstream.port)?;
    if !envoy.wait_until_up().await? {
        let log = envoy.module_log()?;
        let refused = refusals(log.iter().map(String::as_str));
        ensure!(!refused.is_empty(), "Envoy ended:\n{}", envoy.log()?);
        return Ok(Outcome { refused: Some(refused), log, ..Outcome::default() });
    }
    envoy.traffic_of(case, &upstream).await
}

// === impl Envoy ===

impl Envoy {
    /// Starts an Envoy for a case whose upstream is at a port.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(binary: &Path, case: &Case, mount: Mount, upstream: u16) -> Result<Self> {
        let folder = folder()?;
        let bootstrap = bootstrap::build(case, mount, upstream, folder.path(), module::path())?;
        Self::start(binary, folder, &bootstrap, 1)
    }

    /// Starts an Envoy with a bootstrap whose admin listens on the socket `admin` in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        binary: &Path,
        folder: TempDir,
        bootstrap: &Value,
        workers: u32,
    ) -> Result<Self> {
        std::fs::write(folder.path().join("envoy.json"), bootstrap.to_string())?;
        let workers = workers.to_string();
        let arguments = ["--config-path", "envoy.json", "--concurrency", &workers];
        Self::start_with(binary, folder, &arguments)
    }

    /// Starts an Envoy with a configuration that `arguments` name, relative to `folder`, where the admin listens likewise.
    fn start_with(binary: &Path, folder: TempDir, arguments: &[&str]) -> Result<Self> {
        let process =
            spawn(binary, folder.path(), &[arguments, &["--disable-hot-restart"]].concat())?;
        Ok(Self::of(process, folder))
    }

    /// A process of which nothing is known yet.
    fn of(process: Child, folder: TempDir) -> Self {
        Self { process, folder, traffic_port: 0, metrics_port: 0, before: Page::default() }
    }

    /// Waits until all listeners accept; `false` when Envoy ended instead.
    ///
    /// # Errors
    /// When neither happens in time.
    pub async fn wait_until_up(&mut self) -> Result<bool> {
        self.wait_for("entry", Some("metrics")).await
    }

    /// The same for listeners with these names.
    async fn wait_for(&mut self, entry: &str, metrics: Option<&str>) -> Result<bool> {
        let deadline = Instant::now() + START;
        let admin = self.folder.path().join("admin");
        while Instant::now() < deadline {
            if self.process.try_wait()?.is_some() {
                return Ok(false);
            }
            if http::get_unix(&admin, "/ready").await.is_ok() {
                self.traffic_port = self.port_of(entry).await?;
                if let Some(metrics) = metrics {
                    self.metrics_port = self.port_of(metrics).await?;
                }
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("Envoy is not ready after {START:?}:\n{}", self.log()?)
    }

    /// The port that a listener got.
    ///
    /// # Errors
    /// When there is no such listener.
    pub async fn port_of(&self, listener: &str) -> Result<u16> {
        let admin = self.folder.path().join("admin");
        port(&http::get_unix(&admin, "/listeners?format=json").await?, listener)
    }

    /// Asks the admin to do something.
    ///
    /// # Errors
    /// When it does not.
    pub async fn admin(&self, path: &str) -> Result<String> {
        http::post_unix(&self.folder.path().join("admin"), path).await
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything Envoy wrote to its standard output, which is what access logs write there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(self.folder.path().join("output"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until there are so many lines of access log, and gives them.
    ///
    /// # Errors
    /// When there are not in time, or more.
    pub async fn access_log(&self, lines: usize) -> Result<Vec<String>> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let output = self.output()?;
            let found: Vec<String> = output.lines().map(str::to_owned).collect();
            if found.len() == lines {
                return Ok(found);
            }
            let late = found.len() > lines || Instant::now() > deadline;
            ensure!(!late, "{} lines instead of {lines}: {found:#?}\n{}", found.len(), self.log()?);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A number of `/proc/PID/status` (`proc_pid_status(5)`), in KiB: `VmRSS` is the memory that the process holds.
    ///
    /// # Errors
    /// Elsewhere than on Linux.
    pub fn memory_kib(&self, field: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(number.context("no such field")?.parse()?)
    }

    /// Everything the module and Envoy logged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(self.folder.path().join("log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What the module logged; each line once, though every worker's VM writes it.
    fn module_log(&self) -> Result<Vec<String>> {
        let mut lines: Vec<String> = Vec::new();
        for line in self.log()?.lines() {
            let text = line.split_once("wasm log ").and_then(|(_, rest)| rest.split_once(": "));
            if let Some((_, text)) = text
                && !lines.iter().any(|known| known == text)
            {
                lines.push(text.to_owned());
            }
        }
        Ok(lines)
    }

    /// Sends a case's traffic, and tells what came of it.
    async fn traffic_of(&self, case: &Case, upstream: &Upstream) -> Result<Outcome> {
        let mut told = Outcome::default();
        for connection in &case.connections {
            for _ in 0..connection.count {
                let sent = tcp::send(self.traffic_port, connection);
                let (sent, ticks) = tokio::join!(sent, self.ticks(&connection.ticks));
                sent.with_context(|| format!("log:\n{}", self.log().unwrap_or_default()))?;
                told.ticks.extend(ticks?);
            }
        }
        for index in (0..case.requests.len()).filter(|_| !case.is_tcp()) {
            self.send(case, index, upstream, &mut told).await?;
        }
        self.settle(case, told).await
    }

    async fn send(
        &self,
        case: &Case,
        index: usize,
        upstream: &Upstream,
        told: &mut Outcome,
    ) -> Result<()> {
        let request = case.requests.get(index).context("no such request")?;
        let mut client = None;
        for _ in 0..request.count {
            let sent = http::send(self.traffic_port, index, request, case.response_to(request));
            let (sent, ticks) = tokio::join!(sent, self.ticks(&request.ticks));
            client = sent.with_context(|| {
                format!("request {index}; log:\n{}", self.log().unwrap_or_default())
            })?;
            told.ticks.extend(ticks?);
        }
        told.passed.push(Passed { upstream: upstream.headers_of(index), client });
        Ok(())
    }

    /// Waits for what each tick expects, and gives the series that were there in the end. What must not be there is
    /// given the time to come.
    async fn ticks(&self, ticks: &[Tick]) -> Result<Vec<Vec<Series>>> {
        let mut after = Vec::new();
        for tick in ticks {
            if tick.expect.is_empty() {
                tokio::time::sleep(QUIET).await;
            }
            let deadline = Instant::now() + TICK;
            after.push(loop {
                let series = self.scrape().await?;
                if check::is_after(tick, &series) || Instant::now() > deadline {
                    break series;
                }
                tokio::time::sleep(PAUSE).await;
            });
        }
        Ok(after)
    }

    /// What it has counted since the case's traffic began.
    async fn scrape(&self) -> Result<Vec<Series>> {
        Ok(self.page().await?.since(&self.before))
    }

    async fn page(&self) -> Result<Page> {
        Page::parse(&http::get(self.metrics_port, "/stats/prometheus").await?)
    }

    async fn settle(&self, case: &Case, told: Outcome) -> Result<Outcome> {
        if case.expect.is_empty() {
            tokio::time::sleep(QUIET).await;
        }
        let deadline = Instant::now() + SETTLE;
        loop {
            let (series, log) = (self.scrape().await?, self.module_log()?);
            let (passed, ticks) = (told.passed.clone(), told.ticks.clone());
            let problems = problems(log.iter().map(String::as_str));
            let outcome = Outcome { refused: None, problems, log, series, passed, ticks };
            if Instant::now() > deadline || check::problems(case, &outcome).is_empty() {
                return Ok(outcome);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the program; what it writes is added to the files `log` and `output` of its folder.
fn spawn(binary: &Path, folder: &Path, arguments: &[&str]) -> Result<Child> {
    let file = |name: &str| File::options().create(true).append(true).open(folder.join(name));
    Command::new(binary)
        .current_dir(folder)
        .args(arguments)
        .args(["--log-level", "warning", "--log-format", "%l %v"])
        // Envoy counts the time of a drain in whole seconds: by the gradual strategy nobody is told to go within the first
        // one, at whose end connections are broken off.
        .args(["--drain-time-s", "2", "--drain-strategy", "immediate"])
        .args(["--file-flush-interval-msec", "20"])
        .stdin(Stdio::null())
        .stdout(file("output")?)
        .stderr(file("log")?)
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))
}

/// A folder for an Envoy's files.
pub(crate) fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("opmeter").tempdir()?)
}

/// The port that a listener got, from the admin's list.
fn port(listeners: &str, name: &str) -> Result<u16> {
    let listeners: Value = serde_json::from_str(listeners)?;
    let list = listeners["listener_statuses"].as_array().cloned().unwrap_or_default();
    let listener = list.iter().find(|l| l["name"] == name).context("no such listener")?;
    let port = listener["local_address"]["socket_address"]["port_value"].as_u64();
    Ok(port.context("a listener without a port")?.try_into()?)
}

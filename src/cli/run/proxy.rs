//! One process of the mesh: an Envoy, or the Prometheus beside it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::http::Http;

/// A Wasm module is compiled before the listener is up; a slow or busy machine needs some seconds for it.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 15;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Proxy {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// Answers with success once it can be used.
    ready: String,
}

impl Proxy {
    /// Starts `envoy` with a bootstrap file; its log goes beside that file.
    pub fn start(
        envoy: &Path,
        name: &'static str,
        bootstrap: &Path,
        admin: SocketAddr,
    ) -> Result<Self> {
        let mut command = guarded(envoy)?;
        command
            .arg("--config-path")
            .arg(bootstrap)
            // No shared memory and no base id: any number of proxies, nothing left behind.
            .args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"])
            .args(["--component-log-level", "wasm:info"]);
        let log = bootstrap.with_extension("log");
        Self::spawn(command, name, log, format!("http://{admin}/ready"))
            .with_context(|| format!("cannot start {}", envoy.display()))
    }

    /// Starts `prometheus` with a configuration; its data and its log go into `folder`.
    pub fn prometheus(
        prometheus: &Path,
        config: &Path,
        folder: &Path,
        listen: SocketAddr,
    ) -> Result<Self> {
        let flag = |name: &str, value: String| format!("--{name}={value}");
        let mut command = guarded(prometheus)?;
        command
            .arg(flag("config.file", config.display().to_string()))
            .arg(flag("storage.tsdb.path", folder.join("data").display().to_string()))
            .arg(flag("web.listen-address", listen.to_string()))
            .args(["--storage.tsdb.retention.time=1d", "--log.level=warn"]);
        let log = folder.join("prometheus.log");
        Self::spawn(command, "Prometheus", log, format!("http://{listen}/-/ready"))
            .with_context(|| format!("cannot start {}", prometheus.display()))
    }

    fn spawn(
        mut command: Command,
        name: &'static str,
        log: PathBuf,
        ready: String,
    ) -> Result<Self> {
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { name, child, log, ready })
    }

    /// Waits until it says that it can be used: all listeners of an Envoy are up.
    pub async fn wait_ready(&mut self, http: &Http) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the {} ended while starting ({status}); its log ends with:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if http.get(&self.ready).await.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        let seconds = START_LIMIT.as_secs();
        bail!(
            "the {} was not ready within {seconds} s; its log ends with:\n{}",
            self.name,
            self.log_tail()
        );
    }

    /// Returns, with an error that holds the end of the log, when the process ends by itself.
    pub async fn ended(&mut self) -> Result<()> {
        let status = self.child.wait().await?;
        bail!(
            "the {} ended by itself ({status}); its log ends with:\n{}",
            self.name,
            self.log_tail()
        );
    }

    /// Ends the process and waits until it is gone.
    pub async fn stop(mut self) -> Result<()> {
        self.terminate();
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// What messages call it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The last lines it logged, indented.
    pub fn log_tail(&self) -> String {
        tail(&fs::read_to_string(&self.log).unwrap_or_default())
    }

    #[cfg(unix)]
    fn terminate(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended in between: then there is nothing to end.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// A command that runs `program` in a process that ends with this one. It has its own process group, so that Ctrl-C reaches only us
/// and the processes end in our order.
fn guarded(program: &Path) -> Result<Command> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(own);
    command.arg("guard").arg(std::process::id().to_string()).arg(program);
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let last: Vec<String> = lines[from..].iter().map(|line| format!("  {line}")).collect();
    if last.is_empty() { "  (the log is empty)".to_owned() } else { last.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_of_a_log_is_its_last_fifteen_lines() {
        let log: String = (1..=20).map(|n| format!("line {n}\n\n")).collect();
        let expected: Vec<String> = (6..=20).map(|n| format!("  line {n}")).collect();
        assert_eq!(tail(&log), expected.join("\n"));
        assert_eq!(tail("one\n"), "  one");
        assert_eq!(tail(""), "  (the log is empty)");
    }
}

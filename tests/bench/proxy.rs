//! A running Envoy, and what the system and its admin tell of it.

use crate::load::Client;
use crate::traffic::Traffic;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for the first answer.
const START: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at whether a process has come to rest.
const REST: Duration = Duration::from_millis(100);
/// CPU of an Envoy at rest in [`REST`]: its timers.
const IDLE: Duration = Duration::from_millis(2);

/// An Envoy that ends with this value.
#[derive(Debug)]
pub struct Proxy {
    process: Child,
    folder: TempDir,
    /// Where it listens.
    pub port: u16,
    /// From the start of the process to the first answer.
    pub first_answer: Duration,
    /// CPU of the process until then.
    pub first_cpu: Duration,
}

// === impl Proxy ===

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Proxy {
    /// Starts an Envoy and waits for the first answer. `bootstrap` gets the port to listen on and the admin's socket.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn start(
        binary: &Path,
        workers: usize,
        traffic: &Traffic,
        bootstrap: impl FnOnce(u16, &Path) -> Value,
    ) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, bootstrap(port, &folder.path().join("admin")).to_string())?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let started = Instant::now();
        let process = Command::new(binary)
            .args(["--disable-hot-restart", "--log-level", "error"])
            .args(["--concurrency", &workers.to_string(), "--config-path"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let (first_answer, first_cpu) = (Duration::ZERO, Duration::ZERO);
        let mut proxy = Self { process, folder, port, first_answer, first_cpu };
        proxy.wait(started, traffic)?;
        Ok(proxy)
    }

    fn wait(&mut self, started: Instant, traffic: &Traffic) -> Result<()> {
        let mut client = loop {
            if let Ok(client) = Client::connect(self.port) {
                break client;
            }
            if self.process.try_wait()?.is_some() || started.elapsed() > START {
                bail!("Envoy does not listen:\n{}", self.log());
            }
            std::thread::sleep(PAUSE);
        };
        client.send(traffic, 1).with_context(|| self.log())?;
        self.first_answer = started.elapsed();
        self.settle()?;
        self.first_cpu = self.cpu()?;
        Ok(())
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process rests: until all workers have started, and V8 has compiled what it wants to compile.
    ///
    /// # Errors
    /// When it never does.
    pub fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        let mut before = self.cpu()?;
        while Instant::now() < deadline {
            std::thread::sleep(REST);
            let now = self.cpu()?;
            // On a busy machine a thread may have work and get no CPU for it.
            if now.saturating_sub(before) < IDLE && self.sleeps()? {
                return Ok(());
            }
            before = now;
        }
        bail!("Envoy does not come to rest")
    }

    /// CPU of all threads so far. The kernel takes a thread's time down when it goes to sleep, or every few milliseconds:
    /// exact when the process rests.
    ///
    /// # Errors
    /// On anything but Linux.
    pub fn cpu(&self) -> Result<Duration> {
        let tasks = format!("/proc/{}/task", self.process.id());
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(&tasks).with_context(|| self.log())? {
            // A thread may end meanwhile.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let first = text.split_whitespace().next().context("schedstat is empty")?;
            nanoseconds += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Whether no thread runs or waits for a CPU.
    fn sleeps(&self) -> Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
            if state.is_some_and(|state| state.starts_with('R')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// On anything but Linux.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.context("no VmRSS")?.trim_end_matches("kB").trim().parse::<u64>()?;
        Ok(kilobytes * 1024)
    }

    /// How many requests were counted, and in how many series: all counters whose name holds `requests_total`.
    ///
    /// # Errors
    /// When the admin does not answer.
    pub fn counted(&self) -> Result<(u64, usize)> {
        let text = self.admin("/stats?filter=requests_total&type=Counters")?;
        let values = text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
        let values: Vec<u64> = values.filter(|value| *value > 0).collect();
        Ok((values.iter().sum(), values.len()))
    }

    fn admin(&self, path: &str) -> Result<String> {
        let socket: PathBuf = self.folder.path().join("admin");
        let mut stream = UnixStream::connect(socket)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let chunked = head.contains("transfer-encoding: chunked");
        let body = if chunked { dechunk(body).context("a broken chunk")? } else { body.to_vec() };
        Ok(String::from_utf8(body)?)
    }

    /// What Envoy logged.
    pub fn log(&self) -> String {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The content of chunks (RFC 9112, 7.1); `None` when they break off.
fn dechunk(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        let chunk = chunks.get(end + 2..)?;
        content.extend(chunk.get(..size)?);
        chunks = chunk.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let content = dechunk(b"4\r\na: 1\r\n2\r\n\n\n\r\n0\r\n\r\n").unwrap();
        assert_eq!(content, b"a: 1\n\n");
        assert_eq!(dechunk(b"4\r\na:"), None);
    }
}

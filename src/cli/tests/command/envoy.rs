//! A real Envoy for tests of the command.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Envoy and module, which `make test` hands over; without them there is nothing to run, unless that is demanded.
pub fn parts() -> Option<(PathBuf, PathBuf)> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let parts = path("OPMETER_ENVOY").zip(path("OPMETER_MODULE"));
    if parts.is_none() {
        let demanded = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
        assert!(!demanded, "OPMETER_ENVOY and OPMETER_MODULE are not both set");
        eprintln!("SKIPPED: OPMETER_ENVOY and OPMETER_MODULE are not both set");
    }
    parts
}

/// Has Envoy read a bootstrap, module and configuration included; the log when it refuses or the module has something to say.
pub fn validate(envoy: &Path, bootstrap: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("envoy.yaml");
    std::fs::write(&file, bootstrap).expect("a bootstrap");
    let output = Command::new(envoy)
        .args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "warning"])
        .arg("--config-path")
        .arg(&file)
        .output()
        .expect("envoy runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let silent = !log.contains("wasm log");
    if output.status.success() && silent { Ok(()) } else { Err(log) }
}

/// A running Envoy; dropping it ends it.
pub struct Running {
    process: Child,
    folder: tempfile::TempDir,
    /// Address of its admin.
    pub admin: String,
}

impl Running {
    /// Starts it with a bootstrap whose admin listens on the given port, and waits until it is live.
    pub fn start(envoy: &Path, bootstrap: &str, admin: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("envoy.yaml");
        std::fs::write(&file, bootstrap).expect("a bootstrap");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let process = Command::new(envoy)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .arg("--config-path")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("envoy starts");
        let running = Self { process, folder, admin: format!("127.0.0.1:{admin}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while get(&running.admin, "/ready").is_none_or(|answer| !answer.contains("LIVE")) {
            assert!(Instant::now() < deadline, "Envoy is not ready: {}", running.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One HTTP request; `None` when there is no answer.
pub fn get(address: &str, path: &str) -> Option<String> {
    send(address, path, &[])
}

/// The same with headers.
pub fn send(address: &str, path: &str, headers: &[(&str, &str)]) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Ports that are free now.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

//! Envoy's own answers: a module of its own (`tests/probe`) gives the corpus to the host's CEL for one request.

use super::Answer;
use super::native::{HEADERS, PATH};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http";

/// Name and value.
type Header<'h> = (&'h str, &'h [u8]);

/// An Envoy that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answers to `texts`, in their order.
pub fn answers(binary: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let port = free_port()?;
    ask(binary, (port, &[]), texts, |probe| bootstrap(port, probe))
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The answers for one request, to a port and with further headers, of an Envoy with the bootstrap made around the probe's
/// filter, in the order of `texts`.
pub fn ask(
    binary: &Path,
    (port, headers): (u16, &[Header<'_>]),
    texts: &[String],
    bootstrap: impl FnOnce(Value) -> Value,
) -> Result<Vec<Answer>> {
    let module = build_probe()?;
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("three_way-{port}.json"));
    let text = bootstrap(probe(&module, &texts.join("\u{1e}"))).to_string();
    std::fs::write(&config, text)?;
    let mut child = Command::new(binary)
        .args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn", "-c"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start Envoy")?;
    let log = child.stderr.take().context("no log")?;
    let _running = Running(child);
    let lines = follow(log);
    request(port, headers)?;
    collect(&lines, texts.len())
}

fn build_probe() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("probe/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            "wasm32-unknown-unknown",
            "--manifest-path",
        ])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    ensure!(status.success(), "the probe does not build");
    Ok(target.join("wasm32-unknown-unknown/release/probe.wasm"))
}

/// The probe as HTTP filter.
fn probe(module: &Path, expressions: &str) -> Value {
    serde_json::json!({"name": "probe", "typed_config": {"@type": format!("{HTTP}.wasm.v3.Wasm"), "config": {
        "root_id": "probe",
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": expressions}}}})
}

fn bootstrap(port: u16, probe: Value) -> Value {
    let router = serde_json::json!({"name": "router", "typed_config": {"@type": format!("{HTTP}.router.v3.Router")}});
    let manager = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "probe",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "direct_response": {"status": 201}}]}]},
        "http_filters": [probe, router]});
    let listener = serde_json::json!({
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]});
    serde_json::json!({"node": {"id": "n1", "cluster": "c"}, "static_resources": {"listeners": [listener]}})
}

/// Lines of Envoy's log as they come.
fn follow(log: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

fn request(port: u16, headers: &[Header<'_>]) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(error).context("Envoy does not listen"),
        }
    };
    let mut text = format!("GET {PATH} HTTP/1.1\r\n").into_bytes();
    for (name, value) in HEADERS.iter().chain(headers) {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"connection: close\r\n\r\n");
    stream.write_all(&text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 201"), "unexpected response {answer}");
    Ok(())
}

fn collect(lines: &mpsc::Receiver<String>, count: usize) -> Result<Vec<Answer>> {
    let mut answers = vec![Answer::Refused; count];
    loop {
        let line =
            lines.recv_timeout(Duration::from_secs(60)).context("Envoy stopped answering")?;
        let Some((_, answer)) = line.split_once(": CEL ") else { continue };
        if answer == "end" {
            return Ok(answers);
        }
        let (index, answer) = answer.split_once(' ').context("odd answer")?;
        let slot = answers.get_mut(index.parse::<usize>()?).context("odd index")?;
        *slot = match answer {
            "refused" => Answer::Refused,
            "InternalFailure" => Answer::Error,
            "SerializationFailure" => Answer::Shapeless,
            value => match value.strip_prefix('=') {
                Some(hex) => Answer::Value(unhex(hex)?),
                None => bail!("unknown status {value}"),
            },
        };
    }
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?)).collect()
}

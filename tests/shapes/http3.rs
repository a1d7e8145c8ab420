//! The client for HTTP/3: aioquic, a QUIC of its own. The one that Envoy uses would be the same on both sides, and those
//! for Rust bring a TLS library that nothing else here needs.

use crate::http2::body;
use crate::shape::Request;
use crate::wire::masked;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::process::Stdio;
use support::second_reader::python;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const CLIENT: &str = include_str!("http3.py");

/// Sends a request and gives the answer as text.
///
/// # Errors
/// No connection, or no end in time.
pub async fn send(port: u16, host: &str, request: &Request) -> Result<String> {
    let python = python().context("OPMETER_PYTHON is not set: make/python-path.sh tells it")?;
    let body: String = body(request).iter().map(|byte| format!("{byte:02x}")).collect();
    let input = json!({
        "port": port, "host": host, "method": request.method, "path": request.path,
        "headers": request.headers, "body": body, "cancel": request.cancel,
    });
    let mut client = Command::new(python)
        .args(["-c", CLIENT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = client.stdin.take().context("a pipe")?;
    stdin.write_all(input.to_string().as_bytes()).await?;
    drop(stdin);
    let output = client.wait_with_output().await?;
    ensure!(output.status.success(), "the client for HTTP/3 failed");
    Ok(masked(String::from_utf8(output.stdout)?.lines()))
}

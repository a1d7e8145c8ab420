//! Prometheus' own client library for Python as a reader of scrapes, which refuses what is not its format.

use crate::series::Series;
use std::io::Write;
use std::process::{Command, Stdio};

/// Reads a scrape from standard input and writes one line of JSON per sample.
const READER: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.buffer.read().decode()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, repr(float(sample.value))]))
";

/// The Python to ask, which has to have `prometheus_client`, and `aioquic` for HTTP/3: `OPMETER_PYTHON`.
///
/// # Panics
/// When it is not set though tests may not be skipped.
pub fn python() -> Option<String> {
    let python = std::env::var("OPMETER_PYTHON").ok();
    let required = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
    assert!(python.is_some() || !required, "OPMETER_PYTHON is not set");
    if python.is_none() {
        eprintln!("SKIPPED: OPMETER_PYTHON is not set, nothing was read");
    }
    python
}

/// All samples of a scrape.
///
/// # Panics
/// When the scrape is not in Prometheus' format.
pub fn read(python: &str, scrape: &str) -> Vec<Series> {
    let mut reader = Command::new(python)
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python");
    let mut input = reader.stdin.take().expect("a pipe");
    let scrape = scrape.to_owned();
    let writer = std::thread::spawn(move || input.write_all(scrape.as_bytes()));
    let output = reader.wait_with_output().expect("an end");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "the scrape is not in Prometheus' format");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(sample).collect()
}

fn sample(line: &str) -> Series {
    let (name, labels, value): (String, _, String) = serde_json::from_str(line).expect("a sample");
    Series { name, labels, value: value.parse().expect("a number") }
}

//! What the module costs a real Envoy: time until the first answer, and CPU per request, each next to the same proxy
//! without it. Rounds are interleaved; only differences within one run mean anything.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{envoy, module};

/// What is compared: a name and the plugin configuration, `None` for no module at all.
const MOUNTS: [(&str, Option<&str>); 3] =
    [("none", None), ("filter", Some("{}")), ("exchange", Some(r#"{"metadata_exchange":{}}"#))];
const ROUNDS: usize = 5;
const REQUESTS: u32 = 20_000;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: ratings:9080\r\n\r\n";

/// An Envoy that ends with this value.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let Some(binary) = envoy::binary().expect("OPMETER_ENVOY names an Envoy") else { return };
    let mut samples = [const { Vec::new() }; MOUNTS.len()];
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        for ((_, configuration), samples) in MOUNTS.iter().zip(&mut samples) {
            samples.push(measure(&binary, *configuration));
        }
    }
    println!(
        "median of {ROUNDS} rounds, one worker, direct response, module of {} bytes",
        module::bytes().len()
    );
    println!(
        "{:<10} {:>14} {:>10} {:>16} {:>10}",
        "", "first answer s", "over none", "CPU us/request", "over none"
    );
    let medians = samples
        .map(|rounds| (median(rounds.iter().map(|r| r.0)), median(rounds.iter().map(|r| r.1))));
    for ((name, _), (start, cpu)) in MOUNTS.iter().zip(medians) {
        let (start0, cpu0) = medians[0];
        println!(
            "{name:<10} {start:>14.3} {:>+10.3} {cpu:>16.1} {:>+10.1}",
            start - start0,
            cpu - cpu0
        );
    }
}

/// Seconds until the first answer, and microseconds of CPU per request.
fn measure(binary: &Path, configuration: Option<&str>) -> (f64, f64) {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("envoy.json");
    std::fs::write(&file, bootstrap(port, configuration).to_string()).expect("a bootstrap");
    let started = Instant::now();
    let proxy = Command::new(binary)
        .args([
            "--use-dynamic-base-id",
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "--config-path",
        ])
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .expect("envoy starts");
    let proxy = Proxy(proxy);
    let mut stream = connect(port, started);
    send(&mut stream, 1);
    let start = started.elapsed().as_secs_f64();
    send(&mut stream, REQUESTS / 10);
    let before = cpu_seconds(proxy.0.id());
    send(&mut stream, REQUESTS);
    let cpu = cpu_seconds(proxy.0.id()) - before;
    (start, cpu * 1e6 / f64::from(REQUESTS))
}

fn connect(port: u16, started: Instant) -> TcpStream {
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => {
                assert!(started.elapsed().as_secs() < 20, "envoy does not listen: {error}")
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends requests one after the other; each answer ends with the body `ok.`.
fn send(stream: &mut TcpStream, count: u32) {
    let mut buffer = [0; 4096];
    for _ in 0..count {
        stream.write_all(REQUEST).expect("sent");
        let mut len = 0;
        while !buffer[..len].ends_with(b"\r\n\r\nok.") {
            let read = stream.read(&mut buffer[len..]).expect("an answer");
            assert!(read > 0, "the proxy closed the connection");
            len += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
    }
}

/// User and system time of a process (`proc(5)`), in clock ticks of 10 ms as on all of today's Linux.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn bootstrap(port: u16, configuration: Option<&str>) -> Value {
    let types = "type.googleapis.com/envoy.extensions.filters";
    let wasm = configuration.map(|text| {
        json!({ "name": "opmeter", "typed_config": {
            "@type": format!("{types}.http.wasm.v3.Wasm"),
            "config": {
                "name": "opmeter", "root_id": "opmeter",
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module::path() } },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text,
                },
            },
        } })
    });
    let router = json!({ "name": "router", "typed_config": {
        "@type": format!("{types}.http.router.v3.Router") } });
    let filters: Vec<Value> = wasm.into_iter().chain([router]).collect();
    json!({
        "node": { "id": "price", "cluster": "price", "metadata": { "WORKLOAD_NAME": "ratings-v1" } },
        "static_resources": { "listeners": [{
            "name": "inbound", "traffic_direction": "INBOUND",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{ "filters": [{ "name": "hcm", "typed_config": {
                "@type": format!("{types}.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "inbound",
                "route_config": { "virtual_hosts": [{
                    "name": "all", "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "direct_response": {
                        "status": 200, "body": { "inline_string": "ok." } } }],
                }] },
                "http_filters": filters,
            } }] }],
        }] },
    })
}

//! `opmeter run` as a person starts it: two real Envoys, on ports of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names of the variables that move a port.
const PORTS: [&str; 9] = [
    "CLIENT_PORT",
    "CLIENT_STATS_PORT",
    "CLIENT_ADMIN_PORT",
    "CLIENT_HEALTH_PORT",
    "SERVER_PORT",
    "SERVER_STATS_PORT",
    "SERVER_ADMIN_PORT",
    "SERVER_HEALTH_PORT",
    "UPSTREAM_PORT",
];

/// Envoy and module, which `make test` hands over; without them there is nothing to run, unless that is demanded.
fn parts() -> Option<(PathBuf, PathBuf)> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let parts = path("OPMETER_ENVOY").zip(path("OPMETER_MODULE"));
    if parts.is_none() {
        let demanded = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
        assert!(!demanded, "OPMETER_ENVOY and OPMETER_MODULE are not both set");
        eprintln!("SKIPPED: OPMETER_ENVOY and OPMETER_MODULE are not both set");
    }
    parts
}

/// Starts it on free ports, one of which may be given.
fn run(envoy: &Path, module: &Path, fixed: Option<(&str, u16)>) -> Output {
    let free: Vec<TcpListener> =
        PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_opmeter"));
    command.current_dir(root).args(["run", "--once", "--rounds", "2"]);
    command.arg("--envoy").arg(envoy).arg("--module").arg(module);
    command.env("SERVER_ADDRESS", "127.0.0.1");
    for (name, listener) in PORTS.iter().zip(&free) {
        command.env(name, listener.local_addr().expect("an address").port().to_string());
    }
    if let Some((name, port)) = fixed {
        command.env(name, port.to_string());
    }
    drop(free);
    command.output().expect("opmeter runs")
}

#[test]
fn one_command_shows_operations_and_series_of_both_sides() {
    let Some((envoy, module)) = parts() else { return };
    let output = run(&envoy, &module, None);
    let (shown, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{told}");
    for reporter in ["source", "destination"] {
        let row = shown.lines().find(|l| l.contains("get_items") && l.contains(reporter));
        assert!(row.is_some(), "get_items by {reporter} in {shown}");
        let start = format!("istio_requests_total{{reporter=\"{reporter}\"");
        let series = shown.lines().find(|line| {
            line.starts_with(&start)
                && line.contains("request_operation=\"get_items\"")
                && line.contains("source_workload=\"productpage-v1\"")
                && line.contains("destination_workload=\"ratings-v1\"")
        });
        assert!(series.is_some(), "the series of {reporter} in {shown}");
    }
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let Some((envoy, module)) = parts() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let output = run(&envoy, &module, Some(("SERVER_ADMIN_PORT", port)));
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    let sentence =
        format!("opmeter: port {port} on 127.0.0.1 is taken; move it with SERVER_ADMIN_PORT=...\n");
    assert_eq!(told, sentence);
}

#[test]
fn a_missing_module_is_one_clear_sentence() {
    let Some((envoy, _)) = parts() else { return };
    let output = run(&envoy, Path::new("nowhere.wasm"), None);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("opmeter: ") && told.contains("nowhere.wasm"), "{told}");
}

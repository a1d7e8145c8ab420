//! `opmeter run` as a person starts it: two real Envoys, on ports of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names of the variables that move a port.
const PORTS: [&str; 10] = [
    "CLIENT_PORT",
    "CLIENT_STATS_PORT",
    "CLIENT_ADMIN_PORT",
    "CLIENT_HEALTH_PORT",
    "SERVER_PORT",
    "SERVER_STATS_PORT",
    "SERVER_ADMIN_PORT",
    "SERVER_HEALTH_PORT",
    "UPSTREAM_PORT",
    "PROMETHEUS_PORT",
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
    let fixed = fixed.map(|(name, port)| (name, port.to_string()));
    run_with(
        envoy,
        module,
        &fixed.as_slice().iter().map(|(n, p)| (*n, p.as_str())).collect::<Vec<_>>(),
    )
}

/// Starts it on free ports, with variables that may move one.
fn run_with(envoy: &Path, module: &Path, variables: &[(&str, &str)]) -> Output {
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
    command.env_remove("PROMETHEUS").envs(variables.iter().copied());
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
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    let sentence =
        format!("opmeter: port {port} on 127.0.0.1 is taken; move it with SERVER_ADMIN_PORT=...\n");
    assert_eq!(told, sentence);
}

#[test]
fn a_missing_module_is_one_clear_sentence() {
    let Some((envoy, _)) = parts() else { return };
    let output = run(&envoy, Path::new("nowhere.wasm"), None);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("opmeter: ") && told.contains("nowhere.wasm"), "{told}");
}

/// Every request is in what Prometheus answers.
#[test]
fn prometheus_holds_what_both_sidecars_counted() {
    let Some((envoy, module)) = parts() else { return };
    let prometheus = std::env::var("OPMETER_PROMETHEUS").expect("OPMETER_PROMETHEUS is set");
    let output = run_with(&envoy, &module, &[("PROMETHEUS", &prometheus)]);
    let (shown, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{told}");
    let (_, answers) = shown.split_once("\nPrometheus:").expect("answers of Prometheus");
    // Two rounds: 9 reads, 4 creations, 3 deletions and 4 others in each, of which some fail.
    for (operation, requests, errors) in
        [("get_items", "18", "0.11"), ("create_items", "8", "0.25"), ("unknown", "8", "0.75")]
    {
        for value in [requests, errors] {
            let line = format!("  {operation:<14} {value:>8}");
            assert!(answers.lines().any(|l| l == line), "{line:?} in {answers}");
        }
    }
}

#[test]
fn a_missing_prometheus_is_one_clear_sentence() {
    let Some((envoy, module)) = parts() else { return };
    let output = run_with(&envoy, &module, &[("PROMETHEUS", "/nowhere/prometheus")]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    let sentence = "opmeter: no Prometheus at /nowhere/prometheus; PROMETHEUS=1 gets Debian's, \
                    PROMETHEUS=/path/to/prometheus uses your own\n";
    assert_eq!(told, sentence);
}

//! `opmeter render` as a person starts it, and what it makes in a real Envoy.

mod command;

use std::path::{Path, PathBuf};

use command::{envoy, golden, opmeter};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render")
}

fn rendered(args: &[&str]) -> String {
    let output = opmeter(&folder(), &[&["render"], args].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}", output.stdout);
    output.stdout
}

#[test]
fn every_kind_is_made_from_one_file() {
    for kind in ["wasm-plugin", "envoy-filter", "bootstrap"] {
        let output = opmeter(&folder(), &["render", "--as", kind, "opmeter.yaml"]);
        golden(&folder().join(format!("{kind}.txt")), &output.stdout);
        // A bootstrap that misses its file does not start, which nobody overlooks.
        let warned = output.stderr.starts_with("opmeter: warning: proxies have to have the file ");
        assert_eq!((output.code, warned), (0, kind != "bootstrap"), "{}", output.stderr);
    }
}

#[test]
fn releases_of_istio_differ() {
    let beside = tempfile::tempdir().expect("a folder");
    let project = std::fs::read_to_string(folder().join("opmeter.yaml")).expect("a project");
    std::fs::write(beside.path().join("opmeter.yaml"), format!("{project}stats: beside\n"))
        .expect("a file");
    let of = |version: &str| opmeter(beside.path(), &["render", "--istio-version", version]).stdout;
    let (new, old, older) = (of("1.24"), of("1.23"), of("1.17"));
    assert!(new.contains("value: filter_state['wasm.op']"), "{new}");
    assert!(old.contains("value: op\n"), "{old}");
    assert!(new.contains("telemetry.istio.io/v1\n"), "{new}");
    assert!(of("1.21").contains("telemetry.istio.io/v1alpha1\n"));
    assert!(!old.contains("extraStatTags"), "native stats need no tags since 1.18: {old}");
    assert!(older.contains("extraStatTags: request_operation\n"), "{older}");
    // The module's own metrics: all labels until 1.17 had their tags in the bootstrap.
    let replace =
        |version: &str| rendered(&["--only", "tags", "--istio-version", version, "opmeter.yaml"]);
    assert!(replace("1.18").contains("extraStatTags: reporter,source_workload,"));
    assert!(replace("1.17").contains("extraStatTags: request_operation\n"));
}

#[test]
fn install_values_are_for_old_releases_only() {
    let old = rendered(&["--as", "istio-operator", "--istio-version", "1.20", "opmeter.yaml"]);
    assert!(old.contains("inboundSidecar:\n"), "{old}");
    let new = opmeter(&folder(), &["render", "--as", "istio-operator", "opmeter.yaml"]);
    assert_eq!(new.code, 2);
    assert_eq!(
        new.stderr,
        "opmeter: Istio 1.28 takes no notice of configOverride (since 1.21); use --as wasm-plugin\n"
    );
}

#[test]
fn what_is_wrong_with_the_file_has_a_place() {
    let output = opmeter(&folder(), &["render", "wrong.yaml"]);
    golden(&folder().join("wrong.txt"), &output.stdout);
    assert_eq!(output.code, 1);
}

#[test]
fn telemetry_resources_come_to_one_configuration_per_side() {
    let args = ["--for", "shop", "--labels", "app=ratings,version=v1", "root.yaml", "shop.yaml"];
    golden(&folder().join("effective.txt"), &rendered(&args));
}

#[test]
fn a_rendered_bootstrap_runs_and_counts() {
    let Some((binary, module)) = envoy::parts() else { return };
    let text = rendered(&["--as", "bootstrap", "opmeter.yaml"]);
    let text = text.replace("dist/opmeter.wasm", &module.to_string_lossy());
    envoy::validate(&binary, &text).expect("Envoy takes it");
    let [traffic, admin, scrape] = envoy::free_ports();
    let text = text
        .replace("port_value: 15006", &format!("port_value: {traffic}"))
        .replace("port_value: 15000", &format!("port_value: {admin}"))
        .replace("port_value: 15090", &format!("port_value: {scrape}"));
    let running = envoy::Running::start(&binary, &text, admin);
    // Nothing answers behind it: the request is counted all the same.
    envoy::get(&format!("127.0.0.1:{traffic}"), "/items/7").expect("an answer");
    let metrics = envoy::get(&format!("127.0.0.1:{scrape}"), "/stats/prometheus").expect("metrics");
    let line = metrics.lines().find(|line| line.starts_with("istio_requests_total{"));
    let line = line.unwrap_or_else(|| panic!("{}\n{metrics}", running.log()));
    for part in [
        "reporter=\"destination\"",
        "request_operation=\"get_item\"",
        "destination_workload=\"ratings-v1\"",
        "destination_app=\"ratings\"",
        "response_code=\"503\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn every_mount_of_a_bootstrap_is_taken_by_envoy() {
    let Some((binary, module)) = envoy::parts() else { return };
    let project = std::fs::read_to_string(folder().join("opmeter.yaml")).expect("a project");
    let project = project.replace("dist/opmeter.wasm", &module.to_string_lossy());
    for place in ["tcp: true", "side: outbound", "side: gateway, listen: \"127.0.0.1:8080\""] {
        let here = tempfile::tempdir().expect("a folder");
        let changed = project.replace("where: {side: inbound,", &format!("where: {{{place},"));
        std::fs::write(here.path().join("opmeter.yaml"), changed).expect("a file");
        let output = opmeter(here.path(), &["render", "--as", "bootstrap"]);
        assert_eq!(output.code, 0, "{place}: {}{}", output.stdout, output.stderr);
        envoy::validate(&binary, &output.stdout).unwrap_or_else(|log| panic!("{place}: {log}"));
    }
}

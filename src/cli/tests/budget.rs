//! `opmeter budget` as a person starts it.

mod command;

use std::path::{Path, PathBuf};

use command::{golden, opmeter};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/budget")
}

#[test]
fn a_configuration_has_a_price() {
    let args = ["budget", "opmeter.yaml", "--peers", "10", "--proxies", "200"];
    let output = opmeter(&folder(), &args);
    golden(&folder().join("opmeter.txt"), &output.stdout);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn values_and_bounds_can_be_told() {
    let args = ["budget", "opmeter.yaml", "--peers", "1", "--codes", "1", "--values", "tenant=4"];
    let output = opmeter(&folder(), &[&args[..], &["--bounds", "7", "--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let metrics = json[0]["estimate"]["metrics"].as_array().expect("metrics");
    let series = |name: &str| {
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        metric.map(|metric| metric["series"].as_u64().expect("a number"))
    };
    // Three operations (one is unknown) and four tenants; histograms of 7 bounds are 10 series.
    assert_eq!(series("istio_requests_total"), Some(12));
    assert_eq!(series("istio_response_bytes"), Some(30));
    assert_eq!(series("istio_request_bytes"), None);
}

#[test]
fn a_bootstrap_tells_its_own_bounds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let args = ["budget", "envoy/server-sidecar.yaml", "--format", "json", "--peers", "1"];
    let json: serde_json::Value =
        serde_json::from_str(&opmeter(&root, &args).stdout).expect("JSON");
    let metrics = json[0]["estimate"]["metrics"].as_array().expect("metrics");
    let duration = metrics.iter().find(|m| m["name"] == "istio_request_duration_milliseconds");
    let duration = duration.expect("durations");
    assert_eq!(duration["series"], duration["label_sets"].as_u64().expect("a number") * 22);
}

#[test]
fn what_is_not_in_force_has_no_price() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/configuration");
    let output = opmeter(&folder, &["budget", "strict.yaml"]);
    assert_eq!(output.code, 2);
    assert_eq!(
        output.stderr,
        "opmeter: strict.yaml: `strict` refuses this configuration; `opmeter lint` tells why\n"
    );
    let output = opmeter(&folder, &["budget", "wrong.yaml"]);
    assert_eq!(output.code, 0);
    assert_eq!(
        output.stderr,
        "opmeter: wrong.yaml: 4 parts of the configuration are left out; `opmeter lint` tells which\n"
    );
}

//! Every bootstrap in envoy/ is accepted by a real Envoy, module and configuration included, and so is what is laid over one.

use std::path::Path;
use std::process::Command;
use support::{envoy, module};

#[test]
fn envoy_accepts_every_bootstrap() {
    let Some(binary) = envoy::binary().expect("an Envoy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = 0;
    for entry in std::fs::read_dir(module::workspace().join("envoy")).expect("envoy/") {
        let path = entry.expect("an entry").path();
        let compose = path.ends_with("docker-compose.yaml");
        if compose || path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a bootstrap");
        assert!(text.contains("dist/opmeter.wasm"), "{} loads the module", path.display());
        let text = text.replace("dist/opmeter.wasm", &module::path().to_string_lossy());
        let copy = folder.path().join(path.file_name().expect("a name"));
        std::fs::write(&copy, text).expect("a copy");
        accepts(&binary, &copy, None);
        seen += 1;
    }
    assert!(seen >= 3, "client, server and gateway");
}

#[test]
fn envoy_accepts_every_sink() {
    let Some(binary) = envoy::binary().expect("an Envoy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bootstrap = module::workspace().join("envoy/server-sidecar.yaml");
    let text = std::fs::read_to_string(&bootstrap).expect("a bootstrap");
    let text = text.replace("dist/opmeter.wasm", &module::path().to_string_lossy());
    let copy = folder.path().join("server-sidecar.yaml");
    std::fs::write(&copy, text).expect("a copy");
    let mut seen = 0;
    for entry in std::fs::read_dir(module::workspace().join("envoy/sinks")).expect("envoy/sinks/") {
        let path = entry.expect("an entry").path();
        accepts(&binary, &copy, Some(&std::fs::read_to_string(&path).expect("an overlay")));
        seen += 1;
    }
    assert!(seen >= 4, "DogStatsD, statsd, Graphite and OTLP");
}

/// Asserts that an Envoy accepts a bootstrap, with something laid over it, and that the module finds nothing wrong.
fn accepts(binary: &Path, bootstrap: &Path, overlay: Option<&str>) {
    let output = Command::new(binary)
        .args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "warning"])
        .arg("--config-path")
        .arg(bootstrap)
        .args(overlay.iter().flat_map(|overlay| ["--config-yaml", overlay]))
        .output()
        .expect("envoy runs");
    let log = String::from_utf8_lossy(&output.stderr);
    let what = format!("{} {}", bootstrap.display(), overlay.unwrap_or_default());
    assert!(output.status.success(), "{what}: {log}");
    assert!(!log.contains("wasm log opmeter"), "{what} is not free of findings: {log}");
}

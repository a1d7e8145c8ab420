//! Every bootstrap in envoy/ is accepted by a real Envoy, module and configuration included.

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
        let output = Command::new(&binary)
            .args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "warning"])
            .arg("--config-path")
            .arg(&copy)
            .output()
            .expect("envoy runs");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {log}", path.display());
        assert!(
            !log.contains("wasm log opmeter"),
            "{} is not free of findings: {log}",
            path.display()
        );
        seen += 1;
    }
    assert!(seen >= 3, "client, server and gateway");
}

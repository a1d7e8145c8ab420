//! WasmPlugin resources.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::plugin::configuration;
use super::project::Loaded;
use crate::schema::{Side, Stats};
use crate::version::IstioVersion;

/// One resource per side, and one more for TCP.
pub fn wasm_plugins(loaded: &Loaded, version: IstioVersion) -> Result<Vec<Value>> {
    ensure!(version.has_wasm_plugin(), "Istio {version} has no WasmPlugin; use --as envoy-filter");
    ensure!(
        !loaded.project.place.access_log,
        "a WasmPlugin is no access logger; use --as envoy-filter, or leave `where.access_log` out"
    );
    let mut all = Vec::new();
    for side in loaded.sides() {
        all.push(wasm_plugin(loaded, side, false));
        if loaded.project.place.tcp && loaded.project.stats == Stats::Replace {
            all.push(wasm_plugin(loaded, side, true));
        }
    }
    Ok(all)
}

fn wasm_plugin(loaded: &Loaded, side: Side, tcp: bool) -> Value {
    let project = &loaded.project;
    let name = loaded.name_of(side);
    let mut spec = json!({
        "url": project.module.url,
        "phase": "STATS",
        "failStrategy": "FAIL_OPEN",
        "pluginName": "opmeter",
        "pluginConfig": configuration(loaded, side),
    });
    if let Some(sum) = &project.module.sha256 {
        spec["sha256"] = sum.clone().into();
    }
    match side {
        Side::Inbound => spec["match"] = json!([{"mode": "SERVER"}]),
        Side::Outbound => spec["match"] = json!([{"mode": "CLIENT"}]),
        Side::Both | Side::Gateway => {}
    }
    if let Some(labels) = loaded.selector() {
        spec["selector"] = json!({"matchLabels": labels});
    }
    if tcp {
        spec["type"] = "NETWORK".into();
    }
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {
            "name": if tcp { format!("{name}-tcp") } else { name },
            "namespace": project.namespace,
        },
        "spec": spec,
    })
}

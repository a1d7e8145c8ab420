//! Install values for Istio before 1.21: the stats filters' configuration.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use super::project::Loaded;
use super::telemetry::native;
use crate::schema::Side;
use crate::version::IstioVersion;

/// An IstioOperator with `configOverride`, which replaces what Istio would have given its own stats.
pub fn operator(loaded: &Loaded, version: IstioVersion) -> Result<Value> {
    ensure!(
        !version.ignores_config_override(),
        "Istio {version} takes no notice of configOverride (since 1.21); use --as wasm-plugin"
    );
    let mut sides = Map::new();
    for (name, side) in [
        ("inboundSidecar", Side::Inbound),
        ("outboundSidecar", Side::Outbound),
        ("gateway", Side::Gateway),
    ] {
        let wanted = match loaded.project.place.side {
            Side::Both => side != Side::Gateway,
            own => own == side,
        };
        if wanted {
            sides.insert(name.to_owned(), stats(loaded, side, version));
        }
    }
    Ok(json!({
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": loaded.project.name, "namespace": loaded.project.namespace},
        "spec": {"values": {"telemetry": {"v2": {"prometheus": {"configOverride": sides}}}}},
    }))
}

/// The part of the configuration that Istio's own stats know.
fn stats(loaded: &Loaded, side: Side, version: IstioVersion) -> Value {
    let project = &loaded.project;
    let mut config = Map::new();
    if side != Side::Outbound {
        config.insert("disable_host_header_fallback".to_owned(), true.into());
    }
    if let Some(definitions) = project.plugin.get("definitions") {
        config.insert("definitions".to_owned(), definitions.clone());
    }
    let mut metrics = Vec::new();
    if !project.dimensions.is_empty() {
        let dimensions: Map<String, Value> = project
            .dimensions
            .iter()
            .map(|(label, text)| (label.clone(), native(loaded, text, version).into()))
            .collect();
        metrics.push(json!({"dimensions": dimensions}));
    }
    metrics.extend(
        project.plugin.get("metrics").and_then(Value::as_array).cloned().unwrap_or_default(),
    );
    if !metrics.is_empty() {
        config.insert("metrics".to_owned(), metrics.into());
    }
    Value::Object(config)
}

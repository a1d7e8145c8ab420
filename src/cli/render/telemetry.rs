//! The Telemetry resource that belongs to a plugin.

use serde_json::{Map, Value, json};

use super::project::Loaded;
use crate::schema::{Side, Stats};
use crate::version::IstioVersion;

/// Native metrics off where the module's replace them; with its attributes as labels where they stay.
pub fn telemetry(loaded: &Loaded, version: IstioVersion) -> Option<Value> {
    let project = &loaded.project;
    let mode = match project.place.side {
        Side::Inbound => "SERVER",
        Side::Outbound | Side::Gateway => "CLIENT",
        Side::Both => "CLIENT_AND_SERVER",
    };
    let matched = json!({"metric": "ALL_METRICS", "mode": mode});
    let change = match project.stats {
        Stats::Own => return None,
        Stats::Replace => json!({"match": matched, "disabled": true}),
        Stats::Beside => {
            let tags: Map<String, Value> = project
                .dimensions
                .iter()
                .map(|(label, text)| {
                    (label.clone(), json!({"value": native(loaded, text, version)}))
                })
                .collect();
            if tags.is_empty() {
                return None;
            }
            json!({"match": matched, "tagOverrides": tags})
        }
    };
    let mut spec = json!({
        "metrics": [{"providers": [{"name": "prometheus"}], "overrides": [change]}],
    });
    if let Some(labels) = loaded.selector() {
        spec["selector"] = json!({"matchLabels": labels});
    }
    let api = if version.has_telemetry_v1() { "v1" } else { "v1alpha1" };
    Some(json!({
        "apiVersion": format!("telemetry.istio.io/{api}"),
        "kind": "Telemetry",
        "metadata": {"name": project.name, "namespace": project.namespace},
        "spec": spec,
    }))
}

/// An attribute of the plugin as Istio's own stats read it.
pub fn native(loaded: &Loaded, text: &str, version: IstioVersion) -> String {
    let attributes = loaded.project.plugin.get("attributes").and_then(Value::as_array);
    let is_own = attributes.into_iter().flatten().any(|attribute| {
        let name = attribute.get("output_attribute").or(attribute.get("outputAttribute"));
        name.and_then(Value::as_str) == Some(text.trim())
    });
    match is_own && version.reads_filter_state() {
        true => format!("filter_state['wasm.{}']", text.trim()),
        false => text.to_owned(),
    }
}

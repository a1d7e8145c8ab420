//! Stats tags for a proxy that Istio configures.

use opmeter_core::metric::standard::HTTP_LABELS;
use serde_json::{Map, Value, json};

use super::Kind;
use super::plugin::labels;
use super::project::Loaded;
use crate::schema::Stats;
use crate::version::IstioVersion;

/// Annotations of a Deployment, or the mesh configuration; nothing where no tags are needed.
pub fn tags(loaded: &Loaded, kind: Kind, version: IstioVersion) -> Option<Value> {
    let names = names(loaded, kind, version);
    let buckets = &loaded.project.histogram_buckets;
    let custom = loaded.project.plugin.contains_key("definitions");
    let old = kind == Kind::IstioOperator || !version.tags_are_extra();
    if names.is_empty() && buckets.is_none() && !(custom && old) {
        return None;
    }
    Some(match &loaded.project.place.deployment {
        Some(deployment) => annotations(loaded, deployment, &names, custom && old),
        None => mesh_config(&names),
    })
}

/// Labels that need a tag: those of the module. Istio's native stats need none since 1.18; until then, standard labels had
/// theirs in every bootstrap.
fn names(loaded: &Loaded, kind: Kind, version: IstioVersion) -> Vec<String> {
    let native = kind == Kind::IstioOperator || loaded.project.stats == Stats::Beside;
    let mut names = labels(loaded);
    if native {
        names = match version.tags_are_extra() {
            true => Vec::new(),
            false => loaded.project.dimensions.keys().cloned().collect(),
        };
    }
    if !version.tags_are_extra() {
        names.retain(|name| HTTP_LABELS.iter().all(|label| label.name() != name));
    }
    names
}

fn annotations(loaded: &Loaded, deployment: &str, names: &[String], include: bool) -> Value {
    let mut annotations = Map::new();
    let mut add = |name: &str, value: String| {
        annotations.insert(format!("sidecar.istio.io/{name}"), value.into());
    };
    if !names.is_empty() {
        add("extraStatTags", names.join(","));
    }
    if let Some(buckets) = &loaded.project.histogram_buckets {
        let buckets: Vec<Value> = buckets.iter().map(|bound| number(*bound)).collect();
        add("statsHistogramBuckets", json!({"wasmcustom": buckets}).to_string());
    }
    if include {
        // Custom metrics begin with their labels there, which no default prefix covers.
        add("statsInclusionPrefixes", inclusion(names));
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment, "namespace": loaded.project.namespace},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    })
}

/// `5` rather than `5.0`.
pub fn number(bound: f64) -> Value {
    match bound.fract() == 0.0 && bound.abs() < 1e15 {
        true => (bound as i64).into(),
        false => bound.into(),
    }
}

fn inclusion(names: &[String]) -> String {
    let prefixes = ["istio", "istiocustom", "wasmcustom"].map(str::to_owned).into_iter();
    let labels = names.iter().map(|name| format!("{name}="));
    prefixes.chain(labels).collect::<Vec<_>>().join(",")
}

fn mesh_config(names: &[String]) -> Value {
    json!({
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "spec": {"meshConfig": {"defaultConfig": {"extraStatTags": names}}},
    })
}

//! Sidecars whose module comes otherwise than by a named static filter.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::envoy::parts;
use super::sidecar::{PROJECT, Sidecar};

/// Name of the discovered filter: what Istio makes of a WasmPlugin `base` in the namespace `shop`.
pub const FILTER: &str = "shop.base";

/// A folder with the module under a name that says nothing, as Istio's agent has it.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// `None` without an Envoy.
    pub fn new() -> Option<Self> {
        let (_, module) = parts()?;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(module, folder.path().join("5d41402a.wasm")).expect("the module");
        Some(Self { folder })
    }

    pub fn module(&self) -> PathBuf {
        self.folder.path().join("5d41402a.wasm")
    }

    /// Replaces the file in one step, as Envoy's watch needs it.
    pub fn write(&self, name: &str, resources: &Value) -> String {
        let path = self.folder.path().join(name);
        let next = self.folder.path().join("next");
        std::fs::write(&next, json!({"resources": resources}).to_string()).expect("resources");
        std::fs::rename(&next, &path).expect("resources");
        path.display().to_string()
    }

    /// Sends the discovered filter this.
    pub fn send(&self, filter: &Value) -> String {
        self.write(
            "ecds.json",
            &json!([{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": FILTER,
                "typed_config": filter,
            }]),
        )
    }

    /// A sidecar whose filter is discovered; it is sent `filter`, or nothing.
    pub fn sidecar(&self, filter: Option<&Value>) -> Sidecar {
        self.with(filter, |_| {})
    }

    /// The same with the statistics that Istio's proxies have (Istio, `envoy_bootstrap.json`).
    pub fn istio_sidecar(&self, filter: Option<&Value>) -> Sidecar {
        let kept = ["reporter=", "listener_manager", "server", "wasm", "component", "istio"];
        let patterns = kept.map(|prefix| json!({"prefix": prefix}));
        self.with(filter, |bootstrap| {
            bootstrap["stats_config"]["stats_matcher"] =
                json!({"inclusion_list": {"patterns": patterns}});
        })
    }

    fn with(&self, filter: Option<&Value>, change: impl Fn(&mut Value)) -> Sidecar {
        let path = match filter {
            Some(filter) => self.send(filter),
            None => self.write("ecds.json", &json!([])),
        };
        changed(|bootstrap| {
            let discovery = json!({
                "name": FILTER,
                "config_discovery": {
                    "config_source": {"path_config_source": {"path": path}},
                    "type_urls": [
                        "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                        "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                    ],
                },
            });
            manager(bootstrap)["http_filters"][0] = discovery;
            change(bootstrap);
        })
    }
}

/// A sidecar whose bootstrap was changed as a value.
pub fn changed(change: impl Fn(&mut Value)) -> Sidecar {
    let sidecar = Sidecar::of(PROJECT, |text| {
        let mut bootstrap: Value = serde_yaml_ng::from_str(&text).expect("a bootstrap");
        change(&mut bootstrap);
        bootstrap.to_string()
    });
    sidecar.expect("an Envoy")
}

/// The connection manager that gets the traffic.
pub fn manager(bootstrap: &mut Value) -> &mut Value {
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

/// A filter without a name anywhere.
pub fn filter(module: &Path, configuration: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": plugin(module, configuration),
    })
}

/// The same for any kind of mount.
pub fn plugin(module: &Path, configuration: &str) -> Value {
    json!({
        "failure_policy": "FAIL_OPEN",
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module}},
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration,
        },
    })
}

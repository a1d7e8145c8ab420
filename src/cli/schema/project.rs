//! `opmeter.yaml`: one small file from which `opmeter render` makes everything else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::configuration::Configuration;

/// What `opmeter render` reads. Beside the fields here every field of the plugin configuration may stand: `attributes`,
/// `definitions`, `metrics`, `metadata_exchange` and so on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "opmeter.yaml", extend("additionalProperties" = false))]
pub struct Project {
    /// Name of the resources.
    #[serde(default = "default_name")]
    pub name: String,
    /// Namespace of the resources; the mesh's root namespace stands for the whole mesh.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Where the proxy gets the module.
    #[serde(default)]
    pub module: Module,
    /// Which proxies, and where in them.
    #[serde(default, rename = "where")]
    pub place: Where,
    /// Whether the module's metrics replace Istio's native ones, or only give them attributes.
    #[serde(default)]
    pub stats: Stats,
    /// Labels of all metrics and their expressions. An attribute is read by its name.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// Bounds of the histograms; absent: Istio's.
    pub histogram_buckets: Option<Vec<f64>>,
    /// The plugin configuration.
    #[serde(flatten)]
    #[schemars(with = "Configuration")]
    pub plugin: Map<String, Value>,
}

/// Where the proxy gets the module.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Module {
    /// `oci://`, `https://` or `file://`, for WasmPlugin.
    pub url: String,
    /// Checksum of the OCI manifest or of the module.
    pub sha256: Option<String>,
    /// Path in the proxy's file system, for EnvoyFilter and bootstraps.
    pub file: String,
}

/// Which proxies, and where in them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Where {
    /// Labels of the pods; absent: all of the namespace.
    pub selector: BTreeMap<String, String>,
    /// Deployment whose pods get the annotations; absent: the mesh configuration gets the tags.
    pub deployment: Option<String>,
    /// Which listeners.
    pub side: Side,
    /// `true`: metrics of TCP connections too.
    pub tcp: bool,
    /// `true`: mounted as an access logger, which costs less and sees no request headers pass (EnvoyFilter, bootstrap).
    pub access_log: bool,
    /// Address a bootstrap listens on, `127.0.0.1:15006`.
    pub listen: Option<String>,
    /// Address of what is behind it, `127.0.0.1:9080`.
    pub upstream: Option<String>,
}

/// Which listeners of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What clients send to the workload.
    Inbound,
    /// What the workload sends.
    Outbound,
    /// Both, with a plugin each.
    #[default]
    Both,
    /// A gateway.
    Gateway,
}

/// What the metrics are beside Istio's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stats {
    /// The module emits the standard metrics, Istio's native ones are off.
    #[default]
    Replace,
    /// Istio's native metrics stay and read the module's attributes.
    Beside,
    /// The module emits its own definitions only, Istio's native metrics stay as they are.
    Own,
}

impl Default for Module {
    fn default() -> Self {
        Self {
            url: "file:///var/lib/opmeter/opmeter.wasm".to_owned(),
            sha256: None,
            file: "/var/lib/opmeter/opmeter.wasm".to_owned(),
        }
    }
}

fn default_name() -> String {
    "opmeter".to_owned()
}

fn default_namespace() -> String {
    "istio-system".to_owned()
}

//! The virtual host of a shape in the listeners of one direction.

use super::filters;
use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a virtual host has beside the route that takes everything to the next hop.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Fields of the route. With `direct_response` or `redirect` it has no `route`.
    pub route: Map<String, Value>,
    /// Filters to be switched on, by their short names; what a filter gets is its configuration for the route.
    pub filters: BTreeMap<String, Value>,
    /// Fields of the virtual host.
    pub host: Map<String, Value>,
}

// === impl Settings ===

impl Settings {
    /// The virtual host with this name, whose route goes to a cluster.
    ///
    /// # Errors
    /// When there is no such filter.
    pub fn virtual_host(&self, name: &str, cluster: &str) -> Result<Value> {
        let mut route = json!({
            "match": { "prefix": "/" },
            "route": { "cluster": cluster, "timeout": "0s" },
        });
        if self.route.contains_key("direct_response") || self.route.contains_key("redirect") {
            route["route"].take();
        }
        if self.route.contains_key("match") {
            route["match"].take();
        }
        merge(&mut route, &Value::Object(self.route.clone()));
        for (short, config) in &self.filters {
            let (filter, config) = filters::of_host(short, config)?;
            route["typed_per_filter_config"][filter] = config;
        }
        // Mirrored requests have a name of their own, and CONNECT tells a port.
        let domains = [name.to_owned(), format!("{name}-shadow"), format!("{name}:443")];
        let mut host = json!({ "name": name, "domains": domains, "routes": [route] });
        merge(&mut host, &Value::Object(self.host.clone()));
        Ok(host)
    }
}

/// Puts the fields of a patch into a value, objects field by field.
pub(super) fn merge(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, patch) in patch {
                merge(fields.entry(name.as_str()).or_insert(Value::Null), patch);
            }
        }
        (value, patch) => patch.clone_into(value),
    }
}

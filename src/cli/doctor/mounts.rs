//! Where Wasm modules are mounted, and which of them are this one.

use serde_json::Value;

use crate::documents::{has_own_fields, is_configuration};
use crate::text::parse;

/// One place where a module runs, or is to run.
#[derive(Clone, Debug)]
pub struct Mount<'d> {
    /// Name of the listener.
    pub listener: &'d str,
    /// Name of the filter or logger.
    pub name: &'d str,
    /// Whether it has its configuration by discovery.
    pub discovered: bool,
    /// What to run (`envoy.extensions.wasm.v3.PluginConfig`); `None` where it has not come, or something else came.
    pub plugin: Option<&'d Value>,
    /// Type of what came instead of a module.
    pub instead: Option<&'d str>,
}

/// What tells that a module is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// None.
    Nothing,
    /// A configuration as this module has it, among others.
    Alike,
    /// A field of the configuration that only this module has.
    Configuration,
    /// A name, a path or an address.
    Name,
}

/// Every mount of a Wasm module in a listener.
pub fn mounts(listener: &Value) -> Vec<Mount<'_>> {
    let mut all = Vec::new();
    let name = listener["name"].as_str().unwrap_or_default();
    walk(listener, Place { listener: name, name: "", discovered: false }, &mut all);
    all
}

#[derive(Clone, Copy)]
struct Place<'d> {
    listener: &'d str,
    name: &'d str,
    discovered: bool,
}

fn walk<'d>(value: &'d Value, mut place: Place<'d>, all: &mut Vec<Mount<'d>>) {
    if let Value::Array(items) = value {
        items.iter().for_each(|item| walk(item, place, all));
        return;
    }
    let Value::Object(fields) = value else { return };
    if fields.contains_key("typed_config") || fields.contains_key("config_discovery") {
        place.name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        place.discovered = fields.contains_key("config_discovery");
    }
    let mount = |plugin, instead| Mount {
        listener: place.listener,
        name: place.name,
        discovered: place.discovered,
        plugin,
        instead,
    };
    if fields.contains_key("vm_config") || fields.contains_key("vmConfig") {
        all.push(mount(Some(value), None));
        return;
    }
    if let Some(discovery) = fields.get("config_discovery")
        && discovery["type_urls"].to_string().contains(".wasm.v3.")
    {
        let came = fields.get("typed_config").and_then(kind);
        if came.is_none_or(|came| !came.contains(".wasm.v3.")) {
            all.push(mount(None, came));
            return;
        }
    }
    fields.values().for_each(|value| walk(value, place, all));
}

/// The type of an `Any`, or of what a `TypedStruct` in it stands for.
pub fn kind(any: &Value) -> Option<&str> {
    any["type_url"].as_str().or(any["@type"].as_str())
}

// === impl Mount ===

impl<'d> Mount<'d> {
    /// The configuration as the module is given it; `None` when there is none.
    pub fn configuration(&self) -> Option<String> {
        let configuration = self.plugin?.get("configuration")?;
        match configuration["@type"].as_str().and_then(|kind| kind.rsplit('.').next()) {
            Some("StringValue") => Some(configuration["value"].as_str()?.to_owned()),
            // Bytes that are not JSON: the module reads nothing of them.
            Some("Struct") => None,
            _ => Some(configuration.to_string()),
        }
    }

    /// The fields of the configuration, whether the module can read them or not.
    fn fields(&self) -> String {
        let of_struct = || self.plugin?.get("configuration")?.get("value").map(Value::to_string);
        self.configuration().or_else(of_struct).unwrap_or_default()
    }

    /// The file with the code, for a module that is one.
    pub fn file(&self) -> Option<&'d str> {
        self.code()?["local"]["filename"].as_str()
    }

    fn code(&self) -> Option<&'d Value> {
        either(self.plugin?, ["vm_config", "vmConfig"])?.get("code")
    }

    /// What tells that it is this module.
    pub fn evidence(&self) -> Evidence {
        let mut names = vec![self.name.to_owned()];
        for part in [["name", "name"], ["root_id", "rootId"], ["vm_config", "vmConfig"]] {
            let part = self.plugin.and_then(|plugin| either(plugin, part));
            names.extend(part.map(Value::to_string));
        }
        if names.iter().any(|name| name.contains("opmeter")) {
            return Evidence::Name;
        }
        let text = self.fields();
        match parse(&text).ok().as_deref() {
            Some([node]) if has_own_fields(node) => Evidence::Configuration,
            Some([node]) if is_configuration(node) => Evidence::Alike,
            _ => Evidence::Nothing,
        }
    }
}

fn either<'v>(value: &'v Value, names: [&str; 2]) -> Option<&'v Value> {
    names.iter().find_map(|name| value.get(name))
}

/// The mounts of this module among all, by the best evidence that there is.
///
/// A WasmPlugin without `pluginName` says nothing by its names, and Istio's agent keeps images under checksums. Where the
/// module's own metrics tell that it runs (`runs`), the mounts that look most like it are taken.
pub fn ours<'m, 'd>(all: &'m [Mount<'d>], runs: bool) -> Vec<&'m Mount<'d>> {
    let least = |least| all.iter().filter(move |m| m.evidence() >= least).collect::<Vec<_>>();
    let known = least(Evidence::Configuration);
    if !known.is_empty() {
        // Another mount of the same code is the same module, whatever its configuration looks like.
        let same = |m: &Mount<'_>| m.code().is_some() && known.iter().any(|k| k.code() == m.code());
        let known_or_same = |m: &&Mount<'_>| m.evidence() >= Evidence::Configuration || same(m);
        return all.iter().filter(known_or_same).collect();
    }
    if !runs {
        return Vec::new();
    }
    let alike = least(Evidence::Alike);
    if !alike.is_empty() {
        return alike;
    }
    all.iter().filter(|mount| mount.plugin.is_some()).collect()
}

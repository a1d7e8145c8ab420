//! Where plugin configurations of this module are found in other documents.

use std::ops::Range;
use std::rc::Rc;

use super::{Document, DocumentKind};
use crate::text::{Embedded, Node, Source, embedded};

/// One use of the module.
#[derive(Debug)]
pub struct Plugin {
    /// The file.
    pub source: Rc<Source>,
    /// Number of the document it was found in.
    pub document: usize,
    /// Where to point at for the plugin as a whole.
    pub anchor: Range<usize>,
    /// The configuration as the module is given it, JSON.
    pub text: String,
    /// The configuration with places in the file; `None` when it cannot be read.
    pub node: Option<Node>,
    /// The text in the file when the configuration is a string there.
    pub embedded: Option<Embedded>,
    /// The configuration where it is a `google.protobuf.Struct`, which Envoy hands over as bytes that are not JSON.
    pub as_struct: Option<Range<usize>>,
    /// What it runs in.
    pub home: Home,
    /// Whether anybody can send requests to it: an inbound listener or a gateway.
    pub open: bool,
    /// Whether it is a filter of requests or connections rather than an access logger.
    pub filter: bool,
    /// Whether requests pass when the plugin fails.
    pub fails_open: bool,
}

/// What a plugin runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Not told: a configuration by itself.
    Anywhere,
    /// A proxy that Istio configures.
    Istio,
    /// The bootstrap it was found in.
    Bootstrap,
}

// === impl Plugin ===

impl Plugin {
    /// How to let requests pass when the plugin fails.
    pub fn fail_open_fix(&self) -> &'static str {
        match self.embedded {
            None if self.home == Home::Istio => "set failStrategy: FAIL_OPEN",
            _ => "set failure_policy: FAIL_OPEN",
        }
    }
}

/// The use of the module in one filter of a bootstrap.
pub fn plugin_inside(filter: &Document) -> Option<Plugin> {
    let mut all = Vec::new();
    let finder = Finder { number: 0, document: filter };
    finder.inside(&filter.node, Home::Bootstrap, false, &mut all);
    all.into_iter().next()
}

/// Every use of the module in a document.
pub fn plugins(number: usize, document: &Document) -> Vec<Plugin> {
    let found = Finder { number, document };
    match document.kind {
        DocumentKind::Configuration => vec![found.bare()],
        DocumentKind::WasmPlugin => found.wasm_plugin().into_iter().collect(),
        DocumentKind::EnvoyFilter => found.envoy_filter(),
        DocumentKind::Bootstrap => found.bootstrap(),
        _ => Vec::new(),
    }
}

struct Finder<'d> {
    number: usize,
    document: &'d Document,
}

// === impl Finder ===

impl Finder<'_> {
    fn plugin(&self, anchor: &Range<usize>, home: Home, open: bool) -> Plugin {
        Plugin {
            source: Rc::clone(&self.document.source),
            document: self.number,
            anchor: anchor.clone(),
            text: String::new(),
            node: None,
            embedded: None,
            as_struct: None,
            home,
            open,
            filter: true,
            fails_open: true,
        }
    }

    fn bare(&self) -> Plugin {
        let node = &self.document.node;
        let mut plugin = self.plugin(&node.span, Home::Anywhere, false);
        plugin.text = node.to_json().to_string();
        plugin.node = Some(node.clone());
        plugin
    }

    fn wasm_plugin(&self) -> Option<Plugin> {
        let spec = self.document.node.get("spec")?;
        // TrafficExtension has the same under `wasm`.
        let spec = if spec.get("url").is_some() { spec } else { spec.get("wasm")? };
        let config = spec.get("pluginConfig");
        let names = [spec.text_at(&["url"]), spec.text_at(&["pluginName"])];
        if !is_ours(&names, config) {
            return None;
        }
        let anchor = spec.entry("url").map_or(spec.span.clone(), |url| url.value.span.clone());
        let sides = spec.get("match").map(Node::items).unwrap_or_default();
        let open = sides.iter().any(|side| side.text_at(&["mode"]) == Some("SERVER"));
        let mut plugin = self.plugin(&anchor, Home::Istio, open);
        plugin.text = config.map_or_else(String::new, |config| config.to_json().to_string());
        plugin.node = config.cloned();
        plugin.fails_open =
            matches!(spec.text_at(&["failStrategy"]), Some("FAIL_OPEN" | "FAIL_RELOAD"));
        Some(plugin)
    }

    fn envoy_filter(&self) -> Vec<Plugin> {
        let patches = self.document.node.down(&["spec", "configPatches"]);
        let mut all = Vec::new();
        for patch in patches.map(Node::items).unwrap_or_default() {
            let Some(value) = patch.down(&["patch", "value"]) else { continue };
            let context = patch.text_at(&["match", "context"]);
            let open = matches!(context, Some("SIDECAR_INBOUND" | "GATEWAY"));
            self.inside(value, Home::Istio, open, &mut all);
        }
        all
    }

    fn bootstrap(&self) -> Vec<Plugin> {
        let mut all = Vec::new();
        let listeners = self.document.node.get("static_resources").and_then(|r| r.get("listeners"));
        for listener in listeners.map(Node::items).unwrap_or_default() {
            let direction = listener.either(["traffic_direction", "trafficDirection"]);
            let open = direction.and_then(Node::text) != Some("OUTBOUND");
            self.inside(listener, Home::Bootstrap, open, &mut all);
        }
        all
    }

    /// Every `PluginConfig` (envoy.extensions.wasm.v3) below a value.
    fn inside(&self, value: &Node, home: Home, open: bool, all: &mut Vec<Plugin>) {
        let mut loggers = Vec::new();
        value.walk(&mut |node| {
            let kind = node.text_at(&["@type"]).unwrap_or_default();
            if kind.ends_with("WasmAccessLog") {
                loggers.extend(node.get("config").map(|config| config.span.clone()));
            }
        });
        value.walk(&mut |node| {
            let Some(vm) = node.either(["vm_config", "vmConfig"]) else { return };
            let configuration = node.get("configuration");
            let kind = configuration.and_then(|c| c.text_at(&["@type"])).unwrap_or_default();
            let is_struct = kind.ends_with("google.protobuf.Struct");
            let string = configuration.and_then(|c| c.get("value"));
            let mut names = vec![
                node.text_at(&["name"]),
                node.either(["root_id", "rootId"]).and_then(Node::text),
            ];
            vm.walk(&mut |part| names.push(part.text()));
            let text = string.and_then(|node| embedded(node, &self.document.source.text));
            let read = text.as_ref().and_then(|text| text.parse().ok().flatten());
            // A message of another type is its JSON; the module gets that text.
            let other = configuration.filter(|_| string.is_none() && !is_struct);
            let fields = if is_struct { string } else { read.as_ref().or(other) };
            if !is_ours(&names, fields) {
                return;
            }
            let anchor = node.entry("name").map_or(&node.span, |name| &name.value.span);
            let mut plugin = self.plugin(anchor, home, open);
            plugin.filter = !loggers.contains(&node.span);
            let policy = node.either(["failure_policy", "failurePolicy"]).and_then(Node::text);
            let open = node.either(["fail_open", "failOpen"]).is_some_and(Node::is_true);
            plugin.fails_open = open || matches!(policy, Some("FAIL_OPEN" | "FAIL_RELOAD"));
            plugin.text = match (&text, other) {
                (Some(text), _) => text.text.clone(),
                (None, Some(other)) => other.to_json().to_string(),
                (None, None) => String::new(),
            };
            plugin.node = read.or_else(|| other.cloned());
            plugin.embedded = text;
            let place = configuration.and_then(|c| c.entry("@type"));
            plugin.as_struct = place.filter(|_| is_struct).map(|kind| kind.value.span.clone());
            all.push(plugin);
        });
    }
}

/// By a name that holds the module's, or by a configuration that only it can have.
fn is_ours(names: &[Option<&str>], config: Option<&Node>) -> bool {
    let named = names.iter().flatten().any(|name| name.contains("opmeter"));
    named || config.is_some_and(has_own_fields)
}

/// Fields that no other plugin of Istio's knows.
const OWN: [&str; 6] = [
    "metadataExchange",
    "metadata_exchange",
    "openapi",
    "operations",
    "standardMetrics",
    "standard_metrics",
];

/// Whether a configuration has a field that only this module knows.
pub fn has_own_fields(config: &Node) -> bool {
    let mut found = false;
    config.walk(&mut |node| {
        found |= node.entries().iter().any(|entry| OWN.contains(&entry.key.as_str()));
    });
    found
}

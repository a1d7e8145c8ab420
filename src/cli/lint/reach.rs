//! Which streams of which proxies a resource gives its plugin (Istio, `pilot/pkg/model/extensions.go`, `envoyfilter.go`).

use std::ops::BitOr;

use crate::documents::{Document, DocumentKind, Plugin};
use crate::text::Node;

/// Istio's root namespace unless the mesh configuration has another: its resources are for all namespaces.
const ROOT: &str = "istio-system";

/// What one place of a resource selects.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Kind and name, for a person.
    pub title: String,
    kind: String,
    name: String,
    namespace: Option<String>,
    selector: Vec<(String, String)>,
    targets: Vec<(String, String)>,
    sides: Sides,
    /// None for all.
    ports: Vec<String>,
    traffic: Traffic,
}

/// Kinds of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sides(u8);

const OUTBOUND: Sides = Sides(1);
const INBOUND: Sides = Sides(2);
const GATEWAY: Sides = Sides(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Requests,
    Connections,
}

/// Whether two resources select the same streams.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlap {
    /// Under a condition that the files do not tell.
    Possible(String),
    /// For certain.
    Certain,
}

impl BitOr for Sides {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

// === impl Reach ===

impl Reach {
    /// All that a plugin's resource selects; nothing for a document that is no resource of Istio's.
    pub fn of(plugin: &Plugin, document: &Document) -> Vec<Self> {
        match document.kind {
            DocumentKind::WasmPlugin => wasm_plugin(&document.node),
            DocumentKind::EnvoyFilter => envoy_filter(plugin, &document.node).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether both get the same streams; `None` where they cannot.
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        let identity = |one: &Self| (one.kind.clone(), one.namespace.clone(), one.name.clone());
        let update = identity(self) == identity(other) && self.kind != "EnvoyFilter";
        let sides = self.sides.0 & other.sides.0 != 0;
        let ports = self.ports.is_empty()
            || other.ports.is_empty()
            || self.ports.iter().any(|port| other.ports.contains(port));
        if update || !sides || !ports || self.traffic != other.traffic {
            return None;
        }
        let namespaces = match (self.namespace.as_deref(), other.namespace.as_deref()) {
            (Some(ROOT), _) | (_, Some(ROOT)) => Overlap::Certain,
            (Some(one), Some(two)) if one != two => return None,
            (None, None) | (Some(_), Some(_)) => Overlap::Certain,
            (None, Some(namespace)) | (Some(namespace), None) => {
                Overlap::Possible(format!("if both are for namespace {namespace}"))
            }
        };
        Some(namespaces.min(self.workloads(other)?))
    }

    fn workloads(&self, other: &Self) -> Option<Overlap> {
        match (self.targets.is_empty(), other.targets.is_empty()) {
            (false, false) => {
                let same = self.targets.iter().any(|target| other.targets.contains(target));
                return same.then_some(Overlap::Certain);
            }
            // A target is a Gateway or a Service; who selects workloads by their labels means others.
            (true, false) if !self.selector.is_empty() => return None,
            (false, true) if !other.selector.is_empty() => return None,
            _ => {}
        }
        let value = |labels: &[(String, String)], name: &str| {
            labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone())
        };
        let differs = |(name, mine): &(String, String)| {
            value(&other.selector, name).is_some_and(|theirs| theirs != *mine)
        };
        if self.selector.iter().any(differs) {
            return None;
        }
        let within =
            |a: &[(String, String)], b: &[(String, String)]| a.iter().all(|l| b.contains(l));
        if within(&self.selector, &other.selector) || within(&other.selector, &self.selector) {
            return Some(Overlap::Certain);
        }
        let mut labels: Vec<String> =
            self.selector.iter().chain(&other.selector).map(|(k, v)| format!("{k}={v}")).collect();
        labels.sort();
        labels.dedup();
        Some(Overlap::Possible(format!("where a workload has {}", labels.join(", "))))
    }
}

fn resource(node: &Node, selector: &[&str]) -> Reach {
    let text = |path: &[&str]| node.text_at(path).unwrap_or_default().to_owned();
    let labels = node.down(selector).map(Node::entries).unwrap_or_default();
    let spec = node.get("spec");
    let several = spec.and_then(|spec| spec.get("targetRefs")).map(Node::items).unwrap_or_default();
    let one = spec.and_then(|spec| spec.get("targetRef"));
    let target = |node: &Node| {
        let field = |name: &str| node.text_at(&[name]).unwrap_or_default().to_owned();
        (field("kind"), field("name"))
    };
    let (kind, name) = (text(&["kind"]), text(&["metadata", "name"]));
    Reach {
        title: format!("{kind} {name}"),
        kind,
        name,
        namespace: node.text_at(&["metadata", "namespace"]).map(str::to_owned),
        selector: labels
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())))
            .collect(),
        targets: several.iter().chain(one).map(target).collect(),
        sides: OUTBOUND | INBOUND | GATEWAY,
        ports: Vec::new(),
        traffic: Traffic::Requests,
    }
}

/// One for each entry of `match`; Istio takes a gateway's listeners as those of a client.
fn wasm_plugin(node: &Node) -> Vec<Reach> {
    let Some(spec) = node.get("spec") else { return Vec::new() };
    let mut whole = resource(node, &["spec", "selector", "matchLabels"]);
    let kind = spec.text_at(&["type"]).or(spec.text_at(&["wasm", "type"]));
    if kind == Some("NETWORK") {
        whole.traffic = Traffic::Connections;
    }
    let entries = spec.get("match").map(Node::items).unwrap_or_default();
    if entries.is_empty() {
        return vec![whole];
    }
    let narrowed = entries.iter().map(|entry| {
        let ports = entry.get("ports").map(Node::items).unwrap_or_default();
        let ports = ports.iter().filter_map(|port| port.text_at(&["number"]).map(str::to_owned));
        let sides = match entry.text_at(&["mode"]) {
            Some("CLIENT") => OUTBOUND | GATEWAY,
            Some("SERVER") => INBOUND,
            _ => whole.sides,
        };
        Reach { sides, ports: ports.collect(), ..whole.clone() }
    });
    narrowed.collect()
}

/// The patch that holds the plugin.
fn envoy_filter(plugin: &Plugin, node: &Node) -> Option<Reach> {
    let patches = node.down(&["spec", "configPatches"])?.items();
    let patch = patches.iter().find(|patch| patch.span.contains(&plugin.anchor.start))?;
    let mut reach = resource(node, &["spec", "workloadSelector", "labels"]);
    reach.sides = match patch.text_at(&["match", "context"]) {
        Some("SIDECAR_INBOUND") => INBOUND,
        Some("SIDECAR_OUTBOUND") => OUTBOUND,
        Some("GATEWAY") => GATEWAY,
        Some("WAYPOINT") => return None,
        _ => reach.sides,
    };
    let port = patch.text_at(&["match", "listener", "portNumber"]);
    reach.ports.extend(port.map(str::to_owned));
    let value = patch.down(&["patch", "value"])?;
    let mut http = patch.text_at(&["applyTo"]) == Some("HTTP_FILTER");
    value.walk(&mut |node| {
        let kind = node.text_at(&["@type"]).unwrap_or_default();
        http |= kind.ends_with("HttpConnectionManager") || kind.contains("filters.http.");
    });
    if !http {
        reach.traffic = Traffic::Connections;
    }
    Some(reach)
}

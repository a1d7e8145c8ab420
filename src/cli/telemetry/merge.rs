//! What a workload ends up with (Istio, `pilot/pkg/model/telemetry.go`): all entries in the order root namespace, own
//! namespace, resources that select it; the later wins, however general it is.

use std::collections::BTreeMap;

use super::METRICS;
use super::read::{Entry, Override, Telemetry};

/// The only provider that makes a stats filter.
const PROVIDER: &str = "prometheus";

/// Which side of a request a proxy is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Outbound listeners, and gateways.
    Client,
    /// Inbound listeners.
    Server,
}

/// A workload, as resources select it.
#[derive(Clone, Debug)]
pub struct Workload<'w> {
    /// Namespace.
    pub namespace: &'w str,
    /// Pod labels.
    pub labels: &'w [(String, String)],
}

/// What Prometheus' provider is configured with.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Names of the resources that count, as `namespace/name`, in the order they are applied.
    pub applied: Vec<String>,
    /// Names of resources that Istio passes over because another without a selector is older.
    pub passed_over: Vec<String>,
    /// Whether `prometheus` is among the providers at all.
    pub provided: bool,
    /// `reportingInterval`, the last one.
    pub interval: Option<String>,
    /// Outbound; `None` when all metrics are disabled.
    pub client: Option<Vec<PerMetric>>,
    /// Inbound, likewise.
    pub server: Option<Vec<PerMetric>>,
}

/// What becomes of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerMetric {
    /// Name without `istio_`.
    pub name: String,
    /// Whether it is not emitted.
    pub drop: bool,
    /// Labels to set, sorted.
    pub dimensions: Vec<(String, String)>,
    /// Labels to take away, sorted.
    pub tags_to_remove: Vec<String>,
}

#[derive(Default)]
struct Side {
    off: bool,
    metrics: BTreeMap<String, Changes>,
}

#[derive(Default)]
struct Changes {
    name: String,
    disabled: Option<bool>,
    tags: BTreeMap<String, Option<String>>,
}

/// Applies the hierarchy to a workload. `root` is the mesh's root namespace.
pub fn resolve(all: &[Telemetry], root: &str, workload: &Workload<'_>) -> Resolved {
    let mut resolved = Resolved::default();
    let chosen = choose(all, root, workload, &mut resolved);
    let entries: Vec<&Entry> = chosen.iter().flat_map(|telemetry| &telemetry.metrics).collect();
    let default = vec![PROVIDER.to_owned()];
    let last = entries.iter().rev().find(|entry| !entry.providers.is_empty());
    resolved.provided =
        last.map_or(&default, |entry| &entry.providers).iter().any(|p| p == PROVIDER);
    let mut sides = [Side::default(), Side::default()];
    let mut providers = &default;
    for entry in entries {
        if !entry.providers.is_empty() {
            providers = &entry.providers;
        }
        if !providers.iter().any(|provider| provider == PROVIDER) {
            continue;
        }
        resolved.interval = entry.interval.clone().or(resolved.interval);
        for change in &entry.overrides {
            apply(change, &mut sides);
        }
    }
    if resolved.provided {
        let [client, server] = sides.map(finish);
        (resolved.client, resolved.server) = (client, server);
    }
    resolved
}

fn choose<'t>(
    all: &'t [Telemetry],
    root: &str,
    workload: &Workload<'_>,
    resolved: &mut Resolved,
) -> Vec<&'t Telemetry> {
    let mut sorted: Vec<&Telemetry> = all.iter().collect();
    sorted.sort_by(|a, b| a.created.cmp(&b.created));
    let mut chosen: Vec<&Telemetry> = Vec::new();
    let mut namespaces = vec![root];
    if workload.namespace != root {
        namespaces.push(workload.namespace);
    }
    for namespace in namespaces {
        let mut general = sorted.iter().filter(|t| t.namespace == namespace && !t.selects);
        chosen.extend(general.next());
        resolved.passed_over.extend(general.map(|t| name(t)));
    }
    let selects = |telemetry: &&&Telemetry| {
        telemetry.namespace == workload.namespace
            && !telemetry.selector.is_empty()
            && telemetry.selector.iter().all(|wanted| workload.labels.contains(wanted))
    };
    chosen.extend(sorted.iter().filter(selects));
    resolved.applied = chosen.iter().map(|telemetry| name(telemetry)).collect();
    chosen
}

fn name(telemetry: &Telemetry) -> String {
    format!("{}/{}", telemetry.namespace, telemetry.name)
}

fn apply(change: &Override, sides: &mut [Side; 2]) {
    let mode = change.mode.as_ref().map(|(mode, _)| mode.as_str());
    let [client, server] = sides;
    let concerned: Vec<&mut Side> = match mode {
        Some("CLIENT") => vec![client],
        Some("SERVER") => vec![server],
        _ => vec![client, server],
    };
    for side in concerned {
        if change.is_all() && change.disabled == Some(true) {
            side.off = true;
            continue;
        }
        side.off = false;
        for (key, name) in matched(change) {
            let changes = side.metrics.entry(key).or_default();
            changes.name = name;
            changes.disabled = change.disabled.or(changes.disabled);
            for tag in &change.tags {
                let value = tag.value.as_ref().map(|(value, _)| value.clone()).unwrap_or_default();
                changes.tags.insert(tag.tag.clone(), (!tag.removes()).then_some(value));
            }
        }
    }
}

/// Metrics an override stands for: the key they are sorted by, and the name.
fn matched(change: &Override) -> Vec<(String, String)> {
    if let Some((custom, _)) = &change.custom {
        return vec![(custom.clone(), custom.clone())];
    }
    let wanted = change.metric.as_ref().map(|(metric, _)| metric.as_str());
    METRICS
        .iter()
        .filter(|(metric, _)| change.is_all() || wanted == Some(metric))
        .map(|(metric, name)| ((*metric).to_owned(), (*name).to_owned()))
        .collect()
}

fn finish(side: Side) -> Option<Vec<PerMetric>> {
    if side.off {
        return None;
    }
    let metric = |changes: Changes| PerMetric {
        name: changes.name,
        drop: changes.disabled == Some(true),
        tags_to_remove: changes
            .tags
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(tag, _)| tag.clone())
            .collect(),
        dimensions: changes
            .tags
            .into_iter()
            .filter_map(|(tag, value)| Some((tag, value?)))
            .collect(),
    };
    Some(side.metrics.into_values().map(metric).collect())
}

// === impl Resolved ===

impl Resolved {
    /// One side.
    pub fn side(&self, mode: Mode) -> Option<&[PerMetric]> {
        match mode {
            Mode::Client => self.client.as_deref(),
            Mode::Server => self.server.as_deref(),
        }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

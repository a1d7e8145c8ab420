//! A Telemetry resource -> what it asks for, with the place of every part.

use std::ops::Range;
use std::rc::Rc;

use crate::documents::{Document, DocumentKind};
use crate::text::{Node, Source};

/// One resource.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The file.
    pub source: Rc<Source>,
    /// `metadata.name`.
    pub name: String,
    /// Where the name stands.
    pub anchor: Range<usize>,
    /// `metadata.namespace`; `default` when there is none.
    pub namespace: String,
    /// `metadata.creationTimestamp`; resources without one keep the order of the files.
    pub created: String,
    /// `selector.matchLabels`.
    pub selector: Vec<(String, String)>,
    /// Whether it is bound to other resources (`targetRef`, `targetRefs`).
    pub targets: Vec<(String, String)>,
    /// Whether there is a selector or a target at all.
    pub selects: bool,
    /// `metrics[]`.
    pub metrics: Vec<Entry>,
}

/// One entry of `metrics`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names of providers; empty inherits.
    pub providers: Vec<String>,
    /// `overrides[]`.
    pub overrides: Vec<Override>,
    /// `reportingInterval`.
    pub interval: Option<String>,
}

/// One entry of `overrides`.
#[derive(Clone, Debug)]
pub struct Override {
    /// `match.metric`; `None` for all.
    pub metric: Option<(String, Range<usize>)>,
    /// `match.customMetric`.
    pub custom: Option<(String, Range<usize>)>,
    /// `match.mode`.
    pub mode: Option<(String, Range<usize>)>,
    /// `disabled`.
    pub disabled: Option<bool>,
    /// `tagOverrides`.
    pub tags: Vec<TagChange>,
}

/// One entry of `tagOverrides`.
#[derive(Clone, Debug)]
pub struct TagChange {
    /// Name of the label.
    pub tag: String,
    /// Where the name stands.
    pub span: Range<usize>,
    /// `operation`, as written.
    pub operation: Option<(String, Range<usize>)>,
    /// `value`, an expression.
    pub value: Option<(String, Range<usize>)>,
}

// === impl Override ===

impl Override {
    /// Whether it stands for every metric.
    pub fn is_all(&self) -> bool {
        let metric = self.metric.as_ref().map(|(name, _)| name.as_str());
        self.custom.is_none() && matches!(metric, None | Some("ALL_METRICS"))
    }
}

// === impl TagChange ===

impl TagChange {
    /// Whether the label is taken away.
    pub fn removes(&self) -> bool {
        self.operation.as_ref().is_some_and(|(operation, _)| operation == "REMOVE")
    }
}

/// Reads a document of kind Telemetry.
pub fn read(document: &Document) -> Option<Telemetry> {
    if document.kind != DocumentKind::Telemetry {
        return None;
    }
    let node = &document.node;
    let name = node.down(&["metadata", "name"]);
    let spec = node.get("spec");
    let labels = spec.and_then(|spec| spec.down(&["selector", "matchLabels"]));
    let targets = spec.map(targets).unwrap_or_default();
    let metrics = spec.and_then(|spec| spec.get("metrics")).map(Node::items).unwrap_or_default();
    Some(Telemetry {
        source: Rc::clone(&document.source),
        name: name.and_then(Node::text).unwrap_or_default().to_owned(),
        anchor: name.unwrap_or(node).span.clone(),
        namespace: node.text_at(&["metadata", "namespace"]).unwrap_or("default").to_owned(),
        created: node.text_at(&["metadata", "creationTimestamp"]).unwrap_or_default().to_owned(),
        selector: labels.map(pairs).unwrap_or_default(),
        selects: labels.is_some() || !targets.is_empty(),
        targets,
        metrics: metrics.iter().map(entry).collect(),
    })
}

fn pairs(node: &Node) -> Vec<(String, String)> {
    let pair = |entry: &crate::text::Entry| {
        (entry.key.clone(), entry.value.text().unwrap_or_default().to_owned())
    };
    node.entries().iter().map(pair).collect()
}

fn targets(spec: &Node) -> Vec<(String, String)> {
    let many = spec.get("targetRefs").map(Node::items).unwrap_or_default();
    let target = |node: &Node| {
        let text = |key| node.text_at(&[key]).unwrap_or_default().to_owned();
        (text("kind"), text("name"))
    };
    spec.get("targetRef").into_iter().chain(many).map(target).collect()
}

fn entry(node: &Node) -> Entry {
    let providers = node.get("providers").map(Node::items).unwrap_or_default();
    let overrides = node.get("overrides").map(Node::items).unwrap_or_default();
    Entry {
        providers: providers
            .iter()
            .filter_map(|provider| provider.text_at(&["name"]).map(str::to_owned))
            .collect(),
        overrides: overrides.iter().map(change).collect(),
        interval: node.text_at(&["reportingInterval"]).map(str::to_owned),
    }
}

fn change(node: &Node) -> Override {
    let of = |path: &[&str]| {
        let node = node.down(path)?;
        Some((node.text()?.to_owned(), node.span.clone()))
    };
    let tags = node.get("tagOverrides").map(Node::entries).unwrap_or_default();
    Override {
        metric: of(&["match", "metric"]),
        custom: of(&["match", "customMetric"]),
        mode: of(&["match", "mode"]),
        disabled: node.get("disabled").map(Node::is_true),
        tags: tags
            .iter()
            .map(|entry| {
                let of = |key| {
                    let node = entry.value.get(key)?;
                    Some((node.text()?.to_owned(), node.span.clone()))
                };
                TagChange {
                    tag: entry.key.clone(),
                    span: entry.key_span.clone(),
                    operation: of("operation"),
                    value: of("value"),
                }
            })
            .collect(),
    }
}

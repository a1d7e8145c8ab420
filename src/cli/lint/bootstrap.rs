//! The chain of filters in a bootstrap.

use crate::documents::Document;
use crate::finding::{Finding, Rule};
use crate::text::Node;

/// A filter of a chain, by what matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    Ours { standard: bool, late: bool, prefix: String },
    Native,
    Other,
}

/// Order of filters, and native stats beside ours.
pub fn check(document: &Document, findings: &mut Vec<Finding>) {
    document.node.walk(&mut |node| {
        if let Some(filters) = node.either(["http_filters", "httpFilters"]) {
            chain(document, filters.items(), findings);
            let loggers = node.either(["access_log", "accessLog"]);
            let loggers = loggers.map(Node::items).unwrap_or_default();
            twice(document, filters.items().iter().chain(loggers), findings);
        }
    });
}

fn chain(document: &Document, filters: &[Node], findings: &mut Vec<Finding>) {
    let kinds: Vec<Filter> = filters.iter().map(|node| kind(document, node)).collect();
    let Some(native) = kinds.iter().position(|kind| *kind == Filter::Native) else { return };
    for (i, kind) in kinds.iter().enumerate() {
        let Filter::Ours { standard, late, .. } = kind else { continue };
        let span = filters[i].get("name").map_or(&filters[i].span, |name| &name.span);
        if *standard {
            let message = "Istio's native stats and this plugin both emit the standard metrics";
            findings.push(
                Finding::warning(Rule::NativeAlsoOn, &document.source, span, message)
                    .fix("remove one of the two filters, or set \"standard_metrics\": false"),
            );
        } else if *late && i > native {
            let message = "this filter derives attributes after Istio's stats have been written";
            findings.push(
                Finding::warning(Rule::Order, &document.source, span, message)
                    .fix("put it before Istio's stats filter, or set \"phase\": \"ON_REQUEST\""),
            );
        }
    }
}

/// A second filter or logger of ours for the same requests.
fn twice<'n>(
    document: &Document,
    mounts: impl Iterator<Item = &'n Node>,
    findings: &mut Vec<Finding>,
) {
    let mut first: Vec<(String, &str)> = Vec::new();
    for node in mounts {
        let Filter::Ours { standard: true, prefix, .. } = kind(document, node) else { continue };
        let name = node.text_at(&["name"]).unwrap_or("without a name");
        match first.iter().find(|(known, _)| *known == prefix) {
            None => first.push((prefix, name)),
            Some((_, other)) => {
                let span = node.get("name").map_or(&node.span, |name| &name.span);
                let message =
                    format!("{name} gets the same requests as {other}, and both are this module");
                findings.push(
                    Finding::warning(Rule::TwoPlugins, &document.source, span, message)
                        .fix(super::two_plugins::FIX),
                );
            }
        }
    }
}

fn kind(document: &Document, filter: &Node) -> Filter {
    let mut native = false;
    filter.walk(&mut |node| {
        let types = [node.text_at(&["@type"]), node.text_at(&["type_url"])];
        native |= types.iter().flatten().any(|name| name.ends_with("stats.PluginConfig"));
    });
    if native {
        return Filter::Native;
    }
    let one = Document {
        source: std::rc::Rc::clone(&document.source),
        node: filter.clone(),
        kind: document.kind,
    };
    match crate::documents::plugin_inside(&one)
        .and_then(|plugin| super::configuration::accepted(&plugin))
    {
        Some(accepted) => Filter::Ours {
            standard: accepted.config.standard_metrics,
            late: derives_late(&accepted.config),
            prefix: accepted.config.stat_names.prefix,
        },
        None => Filter::Other,
    }
}

/// Whether an attribute is derived when the stream is logged.
pub fn derives_late(config: &opmeter_core::config::Config) -> bool {
    let mut attributes = config.attributes.iter();
    attributes.any(|attribute| attribute.phase == opmeter_core::config::Phase::AfterResponse)
}

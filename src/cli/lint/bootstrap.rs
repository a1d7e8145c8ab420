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
        }
    });
}

fn chain(document: &Document, filters: &[Node], findings: &mut Vec<Finding>) {
    let kinds: Vec<Filter> = filters.iter().map(|node| kind(document, node)).collect();
    twice(document, filters, &kinds, findings);
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

/// A second filter of ours in the chain.
fn twice(document: &Document, filters: &[Node], kinds: &[Filter], findings: &mut Vec<Finding>) {
    let name = |i: usize| filters[i].text_at(&["name"]).unwrap_or("the first");
    let mut first: Vec<(usize, &str)> = Vec::new();
    for (i, kind) in kinds.iter().enumerate() {
        let Filter::Ours { standard: true, prefix, .. } = kind else { continue };
        match first.iter().find(|(_, known)| known == prefix) {
            None => first.push((i, prefix)),
            Some((other, _)) => {
                let span = filters[i].get("name").map_or(&filters[i].span, |name| &name.span);
                let message = format!(
                    "filter {} stands in one chain with {}, and both are this module",
                    name(i),
                    name(*other)
                );
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

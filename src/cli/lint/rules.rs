//! Rules and entries that can never have an effect.

use opmeter_core::config::{Attribute, Dimension, Override, Target, When};
use opmeter_core::metric::standard;

use super::configuration::Accepted;
use crate::documents::Plugin;
use crate::expression::{Expression, covers, is_always};
use crate::finding::{Finding, Rule};

/// Labels of Istio's metrics in older releases: configurations that remove them say what they mean.
const FORMER: [&str; 5] = [
    "destination_namespace",
    "destination_port",
    "request_host",
    "request_operation",
    "source_namespace",
];

/// Unreachable conditions and operations, overridden dimensions, labels to remove that are not there.
pub fn check(plugin: &Plugin, accepted: &Accepted, findings: &mut Vec<Finding>) {
    for (i, attribute) in accepted.config.attributes.iter().enumerate() {
        unreachable(plugin, &format!("attributes[{i}]"), attribute, findings);
    }
    let entries = &accepted.config.metrics;
    for (i, entry) in entries.iter().enumerate() {
        let later = &entries[i + 1..];
        for Dimension { path, label, .. } in &entry.dimensions {
            let overrides = |other: &&Override| overrides(other, entry, label);
            if let Some(other) = later.iter().position(|other| overrides(&other)) {
                let by = &later[other].path;
                let message = format!("label \"{label}\" gets its value from {by} instead");
                findings.push(
                    told(plugin, Rule::Overridden, path.clone(), message)
                        .fix("keep one of the two, or give them a `match`"),
                );
            }
        }
        missing_labels(plugin, i, entries, findings);
    }
}

fn overrides(later: &Override, entry: &Override, label: &str) -> bool {
    let same = match &entry.target {
        Target::Named(name) => later.target.concerns(name),
        target => later.target == Target::All || later.target == *target,
    };
    let sets = later.dimensions.iter().any(|dimension| dimension.label == label);
    same && (later.when == When::Always || later.when == entry.when)
        && !later.drop
        && (sets || later.tags_to_remove.iter().any(|tag| tag == label))
}

fn unreachable(plugin: &Plugin, at: &str, attribute: &Attribute, findings: &mut Vec<Finding>) {
    let parsed: Vec<Option<Expression>> =
        attribute.entries.iter().map(|entry| Expression::parse(&entry.condition)).collect();
    let always = |i: usize| {
        let entry = attribute.entries.get(i);
        entry.is_some_and(|entry| entry.condition.trim().is_empty())
            || parsed.get(i).is_some_and(|p| p.as_ref().is_some_and(|p| is_always(p.tree())))
    };
    for later in 0..parsed.len() {
        let earlier = (0..later).find(|earlier| {
            always(*earlier)
                || match (&parsed[*earlier], &parsed[later]) {
                    (Some(a), Some(b)) => covers(a.tree(), b.tree()),
                    _ => false,
                }
        });
        let Some(earlier) = earlier else { continue };
        let path = format!("{at}.match[{later}].condition");
        let value = &attribute.entries[later].value;
        let by = &attribute.entries[earlier].value;
        let message = match always(earlier) {
            true => {
                format!("\"{value}\" can never match: {at}.match[{earlier}] (\"{by}\") always does")
            }
            false => format!(
                "\"{value}\" can never match: {at}.match[{earlier}] (\"{by}\") holds whenever this does"
            ),
        };
        findings.push(
            told(plugin, Rule::Unreachable, path, message).fix("put the narrower rule first"),
        );
    }
    let Some(first) = (0..parsed.len()).find(|i| always(*i)) else { return };
    for (field, there) in [
        ("operations", !attribute.operations.is_empty()),
        ("openapi", !attribute.described.is_empty()),
    ] {
        if there {
            let message = format!("none of these can match: {at}.match[{first}] always does");
            findings.push(
                told(plugin, Rule::Unreachable, format!("{at}.{field}"), message)
                    .why("`match` is tried before `operations` and `openapi`")
                    .fix("remove the condition that always holds"),
            );
        }
    }
}

fn missing_labels(plugin: &Plugin, i: usize, entries: &[Override], findings: &mut Vec<Finding>) {
    let entry = &entries[i];
    let standard: Vec<&str> = standard::HTTP_LABELS.iter().map(|label| label.name()).collect();
    for (j, label) in entry.tags_to_remove.iter().enumerate() {
        let mut earlier = entries[..i].iter().flat_map(|entry| &entry.dimensions);
        let set = earlier.any(|dimension| dimension.label == *label);
        if set || standard.contains(&label.as_str()) || FORMER.contains(&label.as_str()) {
            continue;
        }
        let hint = opmeter_core::diag::nearest(label, standard.iter().copied());
        let message = format!("there is no label \"{label}\" to remove");
        let fix = hint.map_or("take it out".to_owned(), |hint| format!("write \"{hint}\""));
        let path = match entry.path.starts_with("telemetry") {
            true => format!("{}.tagOverrides.{label}", entry.path),
            false => format!("{}.tags_to_remove[{j}]", entry.path),
        };
        let why = "names of labels that are not there are passed over in silence";
        findings.push(told(plugin, Rule::Ignored, path, message).why(why).fix(fix));
    }
}

/// A warning at a path of the configuration.
pub fn told(plugin: &Plugin, rule: Rule, path: String, message: String) -> Finding {
    let span =
        plugin.node.as_ref().map_or(plugin.anchor.clone(), |node| node.find(&path).value_span());
    Finding::warning(rule, &plugin.source, &span, message).at(path)
}

//! Telemetry resources.

use std::collections::BTreeMap;
use std::ops::Range;

use opmeter_core::diag::nearest;

use super::{Scene, dimensions};
use crate::expression::Expression;
use crate::finding::{Finding, Rule};
use crate::telemetry::{METRICS, Override, TagChange, Telemetry};

const MODES: [&str; 3] = ["CLIENT", "SERVER", "CLIENT_AND_SERVER"];

/// Each resource, and those that get in each other's way.
pub fn check(scene: &Scene, findings: &mut Vec<Finding>) {
    for telemetry in &scene.telemetries {
        for change in telemetry.metrics.iter().flat_map(|entry| &entry.overrides) {
            names(telemetry, change, findings);
            for tag in &change.tags {
                of_tag(telemetry, tag, scene, findings);
            }
        }
        if !telemetry.selector.is_empty() && !telemetry.targets.is_empty() {
            let message = "both a selector and a target";
            findings
                .push(told(telemetry, Rule::Invalid, &telemetry.anchor, message).fix("keep one"));
        }
    }
    duplicates(scene, findings);
}

fn told(
    telemetry: &Telemetry,
    rule: Rule,
    span: &Range<usize>,
    message: impl Into<String>,
) -> Finding {
    match rule {
        Rule::Invalid => Finding::error(rule, &telemetry.source, span, message),
        _ => Finding::warning(rule, &telemetry.source, span, message),
    }
}

fn names(telemetry: &Telemetry, change: &Override, findings: &mut Vec<Finding>) {
    if let Some((metric, span)) = &change.metric {
        let known = || METRICS.iter().map(|(name, _)| *name).chain(["ALL_METRICS"]);
        if !known().any(|name| name == metric) {
            let hint = nearest(metric, known());
            let fix = hint.map_or_else(
                || format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                |hint| format!("write {hint}"),
            );
            let message = format!("unknown metric \"{metric}\"");
            findings.push(told(telemetry, Rule::Invalid, span, message).fix(fix));
        }
    }
    if let Some((custom, span)) = &change.custom {
        let message =
            format!("metric \"{custom}\" is none of Istio's, and Istio defines no others");
        findings.push(
            told(telemetry, Rule::Ignored, span, message)
                .why("the native stats filter knows the standard metrics only")
                .fix("define it in a plugin (`definitions`)"),
        );
    }
    if let Some((mode, span)) = &change.mode
        && !MODES.contains(&mode.as_str())
    {
        let message = format!("found \"{mode}\", expected {}", MODES.join(" or "));
        findings.push(told(telemetry, Rule::Invalid, span, message).fix("choose one of them"));
    }
}

fn of_tag(telemetry: &Telemetry, tag: &TagChange, scene: &Scene, findings: &mut Vec<Finding>) {
    let name = &tag.tag;
    if let Some((operation, span)) = &tag.operation
        && !["UPSERT", "REMOVE"].contains(&operation.as_str())
    {
        let message = format!("found \"{operation}\", expected UPSERT or REMOVE");
        findings.push(told(telemetry, Rule::Invalid, span, message).fix("choose one of them"));
        return;
    }
    let (text, span) = match (&tag.value, tag.removes()) {
        (Some((_, span)), true) => {
            let message = format!("label \"{name}\" is removed and has a value");
            findings.push(told(telemetry, Rule::Invalid, span, message).fix("remove the value"));
            return;
        }
        (None, true) => return,
        (None, false) => {
            let message = format!("label \"{name}\" has no value");
            let fix = "give `value`, an expression, or `operation: REMOVE`";
            findings.push(told(telemetry, Rule::Invalid, &tag.span, message).fix(fix));
            return;
        }
        (Some((text, span)), false) => (text, span),
    };
    if let Some(problem) = Expression::problem(text) {
        let message = format!("expression does not compile: {text}");
        findings.push(
            told(telemetry, Rule::LeftOut, span, message)
                .why(format!("{problem}; Istio leaves the label out"))
                .fix("write a CEL expression that Envoy knows; texts stand in quotes twice: \"'text'\""),
        );
    }
    for problem in dimensions::problems(name, text, &[], scene.version.reads_filter_state()) {
        let finding = told(telemetry, problem.rule, span, problem.message).fix(problem.fix);
        findings.push(match problem.rule {
            Rule::Unbounded => finding.why("every new value is new series in every proxy"),
            _ => finding,
        });
    }
}

/// What only one resource can be for: a namespace, and labels of workloads in it.
type Place<'t> = (&'t str, Option<&'t [(String, String)]>);

/// Istio takes the oldest resource without a selector per namespace, and one per workload (IST0159).
fn duplicates(scene: &Scene, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<Place<'_>, &Telemetry> = BTreeMap::new();
    for telemetry in scene.telemetries.iter().filter(|t| t.targets.is_empty()) {
        let selector = telemetry.selects.then_some(telemetry.selector.as_slice());
        match seen.get(&(telemetry.namespace.as_str(), selector)) {
            None => {
                seen.insert((&telemetry.namespace, selector), telemetry);
            }
            Some(first) => {
                let what =
                    if telemetry.selects { "with the same selector" } else { "without a selector" };
                let message = format!(
                    "Telemetry \"{}\" is another one {what} in namespace \"{}\", beside \"{}\"",
                    telemetry.name, telemetry.namespace, first.name
                );
                findings.push(
                    told(telemetry, Rule::Ignored, &telemetry.anchor, message)
                        .why("Istio applies only the oldest of them")
                        .fix("put both into one resource"),
                );
            }
        }
    }
}

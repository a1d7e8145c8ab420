//! Labels and the stats tags that have to take them out of the metrics' names.

use std::collections::BTreeSet;

use opmeter_core::config::Config;

use super::Scene;
use super::configuration::{Accepted, accepted};
use crate::documents::{Home, Plugin, Scheme, StatsTag, TagSource};
use crate::finding::{Finding, Rule};

/// Names that Envoy is given, with a value of its own for each label.
struct Sample {
    labels: Vec<String>,
    name: String,
}

/// Checks each plugin with the tags that apply to it.
pub fn check(scene: &Scene, findings: &mut Vec<Finding>) {
    let mut clashes = BTreeSet::new();
    for plugin in scene.plugins.iter().filter(|plugin| plugin.home != Home::Anywhere) {
        let Some(accepted) = accepted(plugin) else { continue };
        let sources: Vec<&TagSource> =
            scene.tags.iter().filter(|source| applies(source, plugin)).collect();
        let samples = samples(&accepted, scene, plugin);
        missing(plugin, &accepted, &sources, &samples, findings);
        for source in &sources {
            for tag in &source.tags {
                let clash = samples.iter().find_map(|sample| clash(tag, sample));
                if let Some(finding) =
                    clash.map(|label| told(source, tag, &label, &accepted.config))
                    && clashes.insert((
                        finding.source.name.clone(),
                        finding.span.start,
                        tag.name.clone(),
                    ))
                {
                    findings.push(finding);
                }
            }
        }
    }
}

fn applies(source: &TagSource, plugin: &Plugin) -> bool {
    match plugin.home {
        Home::Bootstrap => source.document == plugin.document,
        Home::Istio => source.scheme == Scheme::Istio,
        Home::Anywhere => false,
    }
}

fn samples(accepted: &Accepted, scene: &Scene, plugin: &Plugin) -> Vec<Sample> {
    let names = &accepted.config.stat_names;
    // Istio's own bootstrap had tags for the standard labels until 1.17.
    let known = plugin.home == Home::Istio && !scene.version.tags_are_extra();
    let standard = opmeter_core::metric::standard::HTTP_LABELS.map(|label| label.name());
    accepted
        .plan
        .families()
        .map(|family| {
            let labels: Vec<String> = family
                .labels
                .iter()
                .filter(|label| !(known && standard.contains(label)))
                .map(|label| (*label).to_owned())
                .collect();
            let encoded: String = labels
                .iter()
                .map(|label| {
                    format!(
                        "{label}{}{}{}",
                        names.value_separator,
                        value(label),
                        names.field_separator
                    )
                })
                .collect();
            Sample { name: format!("wasmcustom.{encoded}{}", family.name), labels }
        })
        .collect()
}

/// A value that no other label has.
fn value(label: &str) -> String {
    format!("V{}V", label.to_uppercase())
}

/// What a tag takes out of a name.
fn taken<'n>(tag: &StatsTag, name: &'n str) -> Option<&'n str> {
    let captures = tag.regex.as_ref()?.captures(name)?;
    captures.get(2).or(captures.get(1)).map(|group| group.as_str())
}

/// The label whose value a tag of another name takes.
fn clash(tag: &StatsTag, sample: &Sample) -> Option<String> {
    let found = taken(tag, &sample.name)?;
    if found == value(&tag.name) {
        return None;
    }
    let victim = sample.labels.iter().find(|label| found.contains(&value(label)));
    Some(victim.cloned().unwrap_or_else(|| "another".to_owned()))
}

fn told(source: &TagSource, tag: &StatsTag, label: &str, config: &Config) -> Finding {
    let message = format!("stats tag \"{}\" takes the value of label \"{label}\"", tag.name);
    let fix = match source.scheme {
        Scheme::Bootstrap => format!("anchor it: regex: '{}'", expression(&tag.name, config)),
        Scheme::Istio => {
            "rename the label: Istio's expressions find a name at the end of another too".to_owned()
        }
    };
    let why = "Envoy tries each expression on the whole name, wherever it fits first";
    Finding::warning(Rule::TagClash, &source.source, &tag.span, message).why(why).fix(fix)
}

fn missing(
    plugin: &Plugin,
    accepted: &Accepted,
    sources: &[&TagSource],
    samples: &[Sample],
    findings: &mut Vec<Finding>,
) {
    let mut without: Vec<&str> = Vec::new();
    for sample in samples {
        for label in &sample.labels {
            let tags = sources.iter().flat_map(|source| &source.tags);
            let known = tags.filter(|tag| tag.name == *label).any(|tag| {
                // A wrong value is a clash; here only whether there is a tag at all.
                taken(tag, &sample.name).is_some()
            });
            if !known && !without.contains(&label.as_str()) {
                without.push(label);
            }
        }
    }
    let (own, standard): (Vec<&str>, Vec<&str>) =
        without.iter().partition(|label| place(plugin, accepted, label).is_some());
    if sources.iter().all(|source| source.tags.is_empty()) && !without.is_empty() {
        let message = format!("none of the {} labels has a stats tag", without.len());
        let finding = Finding::warning(Rule::NoStatsTag, &plugin.source, &plugin.anchor, message);
        findings.push(finding.fix(match plugin.home {
            Home::Istio => {
                "give the file with `extraStatTags` in the same call; `opmeter render` writes the list"
            }
            _ => "add `stats_config.stats_tags`; `opmeter render` writes them",
        }));
        return;
    }
    for label in own {
        let span = place(plugin, accepted, label).unwrap_or_else(|| plugin.anchor.clone());
        let message = format!("label \"{label}\" has no stats tag");
        let finding = Finding::warning(Rule::NoStatsTag, &plugin.source, &span, message);
        findings.push(finding.fix(fix(plugin, &[label], &accepted.config)));
    }
    if !standard.is_empty() {
        let (source, anchor) = sources
            .first()
            .map_or((&plugin.source, &plugin.anchor), |first| (&first.source, &first.anchor));
        let message = format!("no stats tag for {}", listed(&standard));
        let finding = Finding::warning(Rule::NoStatsTag, source, anchor, message);
        findings.push(finding.fix(fix(plugin, &standard, &accepted.config)));
    }
}

/// Where a label is set in the configuration.
fn place(plugin: &Plugin, accepted: &Accepted, label: &str) -> Option<std::ops::Range<usize>> {
    let mut dimensions = accepted.config.metrics.iter().flat_map(|entry| &entry.dimensions);
    let dimension = dimensions.find(|dimension| dimension.label == label)?;
    Some(plugin.node.as_ref()?.find(&dimension.path).key_span())
}

fn fix(plugin: &Plugin, labels: &[&str], config: &Config) -> String {
    match (plugin.home, labels) {
        (Home::Istio, _) => format!("add to extraStatTags: {}", labels.join(",")),
        (_, [label]) => {
            format!("add {{tag_name: {label}, regex: '{}'}}", expression(label, config))
        }
        _ => "add them to `stats_tags`; `opmeter render` writes the expressions".to_owned(),
    }
}

/// The anchored expression of a label's tag.
pub fn expression(label: &str, config: &Config) -> String {
    let names = &config.stat_names;
    let (field, value) = (escape(&names.field_separator), escape(&names.value_separator));
    format!("^wasmcustom\\.(?:.*?{field})?({}{value}(.*?){field})", escape(label))
}

/// Escaped for RE2, as little as needed.
fn escape(text: &str) -> String {
    let special = |c: char| "\\.+*?()|[]{}^$".contains(c);
    let mut out = String::new();
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn listed(labels: &[&str]) -> String {
    const MOST: usize = 4;
    let shown: Vec<String> = labels.iter().take(MOST).map(|label| format!("\"{label}\"")).collect();
    match labels.len().saturating_sub(MOST) {
        0 => format!("label {}", shown.join(", ")),
        more => format!("labels {} and {more} more", shown.join(", ")),
    }
}

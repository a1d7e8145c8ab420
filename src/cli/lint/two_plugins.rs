//! Two plugins of this module for the same proxies: what only the files together tell.

use std::collections::BTreeSet;

use super::Scene;
use super::configuration::accepted;
use super::reach::{Overlap, Reach};
use crate::documents::Plugin;
use crate::finding::{Finding, Rule};

/// What to do about it.
pub const FIX: &str = "put both configurations into one resource; or set \"standard_metrics\": false where only \
                       `definitions` are meant";

/// One finding for each plugin that counts what another one already counts.
pub fn check(scene: &Scene, findings: &mut Vec<Finding>) {
    let counting: Vec<(&Plugin, Vec<Reach>, String)> = scene
        .plugins
        .iter()
        .filter_map(|plugin| {
            let config =
                accepted(plugin).filter(|accepted| accepted.config.standard_metrics)?.config;
            let document = scene.documents.get(plugin.document)?;
            Some((plugin, Reach::of(plugin, document), config.stat_names.prefix))
        })
        .collect();
    // Patches of one resource for several contexts are told once for each resource that they get in the way of.
    let mut told: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (i, (plugin, reach, prefix)) in counting.iter().enumerate() {
        for (first, other, other_prefix) in &counting[..i] {
            let pair = (first.document, plugin.document);
            if prefix != other_prefix || told.contains(&pair) {
                continue;
            }
            let overlaps = other.iter().flat_map(|a| reach.iter().filter_map(|b| a.overlap(b)));
            if let Some(overlap) = overlaps.max() {
                told.insert(pair);
                findings.push(finding(first, plugin, other, &overlap));
            }
        }
    }
}

fn finding(first: &Plugin, plugin: &Plugin, other: &[Reach], overlap: &Overlap) -> Finding {
    let name = other.first().map_or("another plugin", |reach| reach.title.as_str());
    let place = first.source.position(first.anchor.start);
    let at = format!("{name} ({}:{})", first.source.name, place.line);
    let message = match overlap {
        Overlap::Certain => format!("the same requests also pass {at}"),
        Overlap::Possible(when) => format!("{when}, the same requests also pass {at}"),
    };
    Finding::warning(Rule::TwoPlugins, &plugin.source, &plugin.anchor, message).fix(FIX)
}

//! What lint finds in the configuration that a proxy runs with.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};

use super::admin::Snapshot;
use super::dump::Dump;
use super::loading::{Fate, fate};
use super::mounts::Mount;
use crate::documents::{Document, DocumentKind};
use crate::finding::{Finding, Rule};
use crate::lint;
use crate::text::{Source, parse};
use crate::version::IstioVersion;

/// What can be wrong with what runs; the rest only matters in a file.
const RULES: [Rule; 9] = [
    Rule::LeftOut,
    Rule::NoStatsTag,
    Rule::TagClash,
    Rule::NativeAlsoOn,
    Rule::Order,
    Rule::BareAttribute,
    Rule::Refused,
    Rule::TwoPlugins,
    Rule::Unreadable,
];

/// Findings in the listeners with this module, each once, however many chains it is in.
pub fn findings(snapshot: &Snapshot, dump: &Dump, ours: &[&Mount<'_>]) -> Vec<Finding> {
    // The dump has an update that was refused, not what goes on.
    let applied = |mount: &&&Mount<'_>| fate(snapshot, dump, mount) == Fate::Applied;
    let ours: Vec<&Mount<'_>> = ours.iter().filter(applied).copied().collect();
    let listeners: Vec<Value> = dump
        .listeners
        .iter()
        .filter(|listener| ours.iter().any(|mount| listener["name"] == mount.listener))
        .map(|listener| {
            let mut listener = listener.clone();
            mark(&mut listener, &ours);
            listener
        })
        .collect();
    let with = json!({
        "stats_config": dump.bootstrap["stats_config"],
        "static_resources": {"listeners": listeners},
    });
    let text = with.to_string();
    let Ok(nodes) = parse(&text) else { return Vec::new() };
    let source = Rc::new(Source { name: "config_dump".to_owned(), text });
    let documents = nodes.into_iter().map(|node| Document {
        source: Rc::clone(&source),
        node,
        kind: DocumentKind::Bootstrap,
    });
    let mut seen = BTreeSet::new();
    let mut findings = lint::check(documents.collect(), IstioVersion::default());
    findings.retain(|finding| {
        let what = (finding.rule, finding.path.clone(), finding.message.clone());
        RULES.contains(&finding.rule) && seen.insert(what)
    });
    findings
}

/// Lint knows the module by its name: those that are known by other evidence get it.
fn mark(value: &mut Value, ours: &[&Mount<'_>]) {
    let is_ours = ours.iter().any(|mount| mount.plugin == Some(value));
    match value {
        Value::Object(fields) => {
            if is_ours {
                fields.insert("root_id".to_owned(), "opmeter".into());
            }
            fields.values_mut().for_each(|value| mark(value, ours));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mark(item, ours)),
        _ => {}
    }
}

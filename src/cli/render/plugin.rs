//! The plugin configuration of one side.

use opmeter_core::Plan;
use opmeter_core::config::{self, Config};
use opmeter_core::configure;
use serde_json::{Value, json};

use super::project::Loaded;
use crate::offline::Offline;
use crate::schema::{Side, Stats};

/// The configuration that a proxy is given.
pub fn configuration(loaded: &Loaded, side: Side) -> Value {
    let project = &loaded.project;
    let mut plugin = project.plugin.clone();
    if project.stats != Stats::Beside && !project.dimensions.is_empty() {
        // First, so that entries of `metrics` can still change a label.
        let mut metrics = vec![json!({"dimensions": project.dimensions})];
        metrics
            .extend(plugin.get("metrics").and_then(Value::as_array).cloned().unwrap_or_default());
        plugin.insert("metrics".to_owned(), metrics.into());
    }
    if project.stats != Stats::Replace {
        plugin.insert("standard_metrics".to_owned(), false.into());
    } else if side != Side::Outbound && !plugin.contains_key("disableHostHeaderFallback") {
        // Istio's own stats do so: names of hosts that clients make up are no services.
        plugin.entry("disable_host_header_fallback").or_insert_with(|| true.into());
    }
    Value::Object(plugin)
}

/// The configuration compiled: what it emits.
pub fn compiled(loaded: &Loaded, side: Side) -> Option<(Config, Plan)> {
    let text = configuration(loaded, side).to_string();
    let (config, _) = config::parse(text.as_bytes()).ok()?;
    let plan = configure(text.as_bytes(), &mut Offline::default()).ok()?.plan;
    Some((config, plan))
}

/// Labels of all metrics of all sides, in the order they are written, each once.
pub fn labels(loaded: &Loaded) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (_, plan) in loaded.sides().into_iter().filter_map(|side| compiled(loaded, side)) {
        for label in plan.families().flat_map(|family| family.labels) {
            if !all.iter().any(|known| known == label) {
                all.push(label.to_owned());
            }
        }
    }
    all
}

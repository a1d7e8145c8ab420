//! What the proxy has been configured with, out of `/config_dump`.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::documents::{Document, DocumentKind};
use crate::finding::{Finding, Rule};
use crate::lint;
use crate::text::{Source, parse};
use crate::version::IstioVersion;

/// Parts of the dump.
#[derive(Debug)]
pub struct Configured {
    /// Listeners in use, static and dynamic.
    pub listeners: Vec<Value>,
    /// Updates that were refused, with Envoy's words.
    pub refused: Vec<String>,
    /// The bootstrap.
    pub bootstrap: Value,
    /// Extensions that came by discovery (ECDS).
    pub extensions: Vec<Value>,
}

// === impl Configured ===

impl Configured {
    /// Reads a dump.
    pub fn read(dump: &Value) -> Self {
        let mut all = Self {
            listeners: Vec::new(),
            refused: Vec::new(),
            bootstrap: Value::Null,
            extensions: Vec::new(),
        };
        for part in dump["configs"].as_array().into_iter().flatten() {
            all.part(part);
        }
        all
    }

    fn part(&mut self, part: &Value) {
        let list = |name: &str| part[name].as_array().cloned().unwrap_or_default();
        match part["@type"].as_str().and_then(|kind| kind.rsplit('.').next()) {
            Some("BootstrapConfigDump") => self.bootstrap = part["bootstrap"].clone(),
            Some("ListenersConfigDump") => {
                self.listeners
                    .extend(list("static_listeners").iter().map(|l| l["listener"].clone()));
                for listener in list("dynamic_listeners") {
                    self.listeners.extend(listener["active_state"].get("listener").cloned());
                    self.refused(&listener["name"], &listener["error_state"]);
                }
            }
            Some("EcdsConfigDump") => {
                for filter in list("ecds_filters") {
                    self.extensions.extend(filter.get("ecds_filter").cloned());
                    self.refused(&filter["ecds_filter"]["name"], &filter["error_state"]);
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, name: &Value, state: &Value) {
        if let Some(details) = state["details"].as_str() {
            self.refused.push(format!("{}: {details}", name.as_str().unwrap_or("listener")));
        }
    }

    /// Lint's findings in what is in force, but for what only a file can have.
    pub fn findings(&self) -> Vec<Finding> {
        let with = json!({
            "stats_config": self.bootstrap["stats_config"],
            "static_resources": {"listeners": self.listeners, "extensions": self.extensions},
        });
        let text = with.to_string();
        let Ok(nodes) = parse(&text) else { return Vec::new() };
        let source = Rc::new(Source { name: "config_dump".to_owned(), text });
        let documents = nodes.into_iter().map(|node| Document {
            source: Rc::clone(&source),
            node,
            kind: DocumentKind::Bootstrap,
        });
        let findings = lint::check(documents.collect(), IstioVersion::default());
        let wanted = [
            Rule::LeftOut,
            Rule::NoStatsTag,
            Rule::TagClash,
            Rule::NativeAlsoOn,
            Rule::Order,
            Rule::BareAttribute,
            Rule::Refused,
        ];
        findings.into_iter().filter(|finding| wanted.contains(&finding.rule)).collect()
    }

    /// Whether the module is mounted anywhere.
    pub fn mounts(&self) -> usize {
        let mut found = 0;
        for value in self.listeners.iter().chain(&self.extensions) {
            count(value, &mut found);
        }
        found
    }
}

/// `PluginConfig`s of the module below a value.
fn count(value: &Value, found: &mut usize) {
    match value {
        Value::Object(fields) => {
            if let Some(vm) = fields.get("vm_config") {
                let named = |part: &Value| part.to_string().contains("opmeter");
                let names = ["name", "root_id"].iter().filter_map(|name| fields.get(*name));
                let ours = named(vm) || names.into_iter().any(named);
                *found += usize::from(ours);
            }
            fields.values().for_each(|value| count(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| count(item, found)),
        _ => {}
    }
}

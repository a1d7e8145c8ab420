//! The configuration as it is written: structure and types, nothing else.

use super::fields::{Fields, Located, Schema};
use super::telemetry::{self, Telemetry};
use super::{Dimension, Override, Target, When};
use crate::diag::Diagnostic;
use crate::operation::{Operation, openapi};
use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct RawConfig {
    pub attributes: Vec<RawAttribute>,
    pub definitions: Vec<RawDefinition>,
    /// With the overrides of `metrics` behind its own.
    pub telemetry: Telemetry,
    pub disable_host_header_fallback: Option<bool>,
    pub reporter: Option<usize>,
    pub standard_metrics: Option<bool>,
    pub strict: Option<bool>,
    pub stat_prefix: Option<String>,
    pub field_separator: Option<String>,
    pub value_separator: Option<String>,
    pub exchange: Option<RawExchange>,
    pub max_peer_cache_size: Option<u64>,
    pub tcp_reporting_duration: Option<u64>,
}

#[derive(Debug)]
pub(super) struct RawExchange {
    pub additional_labels: Vec<String>,
    pub max_peers: Option<u64>,
    pub skip_external: Option<bool>,
}

#[derive(Debug)]
pub(super) struct RawAttribute {
    pub path: String,
    /// Whether a problem of this object has been told already, so that what it lacks is no news.
    pub told: bool,
    pub output_attribute: Option<String>,
    pub phase: Option<usize>,
    pub entries: Vec<RawEntry>,
    pub operations: Vec<RawOperation>,
    pub described: Vec<Operation>,
}

#[derive(Debug)]
pub(super) struct RawOperation {
    pub path: String,
    pub told: bool,
    pub value: Option<String>,
    pub method: Option<String>,
    pub template: Option<String>,
}

#[derive(Debug)]
pub(super) struct RawEntry {
    pub path: String,
    pub told: bool,
    pub condition: Option<String>,
    pub value: Option<String>,
}

#[derive(Debug)]
pub(super) struct RawDefinition {
    pub path: String,
    pub told: bool,
    pub name: Option<String>,
    pub value: Option<String>,
    pub kind: Option<usize>,
}

/// Values of `attributes[].phase`.
pub(super) const PHASES: &[&str] = &["PHASE_UNSPECIFIED", "ON_REQUEST", "AFTER_RESPONSE"];
/// Values of `reporter`.
pub(super) const REPORTERS: &[&str] = &["UNSPECIFIED", "SERVER_GATEWAY"];
/// Values of `definitions[].type`.
pub(super) const KINDS: &[&str] = &["COUNTER", "GAUGE", "HISTOGRAM"];

const CONFIG: Schema = Schema {
    allowed: &[
        "attributes",
        "debug",
        "definitions",
        "disable_host_header_fallback",
        "field_separator",
        "graceful_deletion_interval",
        "max_peer_cache_size",
        "metadata_exchange",
        "metrics",
        "reporter",
        "rotation_interval",
        "standard_metrics",
        "stat_prefix",
        "strict",
        "tcp_reporting_duration",
        "telemetry",
        "value_separator",
    ],
    not_yet: &["limits"],
};
const EXCHANGE: Schema =
    Schema { allowed: &["additional_labels", "max_peers", "skip_external"], not_yet: &[] };
const ATTRIBUTE: Schema = Schema {
    allowed: &["match", "openapi", "operations", "output_attribute", "phase"],
    not_yet: &[],
};
const OPERATION: Schema = Schema { allowed: &["method", "path", "value"], not_yet: &[] };
const ENTRY: Schema = Schema { allowed: &["condition", "value"], not_yet: &[] };
const DEFINITION: Schema = Schema { allowed: &["name", "type", "value"], not_yet: &[] };
const OVERRIDE: Schema =
    Schema { allowed: &["dimensions", "drop", "match", "name", "tags_to_remove"], not_yet: &[] };

/// Reads the text; problems are added to `diagnostics` and what they concern is left out.
pub(super) fn read(text: &[u8], diagnostics: &mut Vec<Diagnostic>) -> RawConfig {
    if text.trim_ascii().is_empty() {
        return RawConfig::default();
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => config(&value, diagnostics),
        Err(error) => {
            diagnostics.push(Diagnostic::error("configuration", format!("not JSON: {error}")));
            RawConfig::default()
        }
    }
}

fn config(value: &Value, diagnostics: &mut Vec<Diagnostic>) -> RawConfig {
    let mut raw = RawConfig::default();
    let mut fields = Fields::open((String::new(), value), &CONFIG, diagnostics);
    fields.flag("debug");
    fields.milliseconds("rotation_interval");
    fields.milliseconds("graceful_deletion_interval");
    let attributes = fields.list("attributes");
    let definitions = fields.list("definitions");
    let metrics = fields.list("metrics");
    let exchange = fields.object("metadata_exchange");
    let telemetry = fields.object("telemetry");
    raw.disable_host_header_fallback = fields.boolean("disable_host_header_fallback");
    raw.reporter = fields.choice("reporter", REPORTERS);
    raw.standard_metrics = fields.boolean("standard_metrics");
    raw.strict = fields.boolean("strict");
    raw.stat_prefix = fields.string("stat_prefix");
    raw.field_separator = fields.string("field_separator");
    raw.value_separator = fields.string("value_separator");
    raw.max_peer_cache_size = fields.unsigned("max_peer_cache_size");
    raw.tcp_reporting_duration = fields.milliseconds("tcp_reporting_duration");
    for at in attributes {
        raw.attributes.push(attribute(at, diagnostics));
    }
    for at in definitions {
        raw.definitions.push(definition(at, diagnostics));
    }
    if let Some(at) = telemetry {
        raw.telemetry = telemetry::read(at, diagnostics);
    }
    for at in metrics {
        raw.telemetry.overrides.push(metric(at, diagnostics));
    }
    raw.exchange = exchange.map(|at| self::exchange(at, diagnostics));
    raw
}

fn exchange(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawExchange {
    let mut fields = Fields::open(at, &EXCHANGE, diagnostics);
    RawExchange {
        additional_labels: fields.strings("additional_labels"),
        max_peers: fields.unsigned("max_peers"),
        skip_external: fields.boolean("skip_external"),
    }
}

fn attribute(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawAttribute {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &ATTRIBUTE, diagnostics);
    let output_attribute = fields.string("output_attribute");
    let phase = fields.choice("phase", PHASES);
    let entries = fields.list("match");
    let operations = fields.list("operations");
    let document = fields.object("openapi");
    let told = diagnostics.len() > before;
    let entries = entries.into_iter().map(|at| entry(at, diagnostics)).collect();
    let operations = operations.into_iter().map(|at| operation(at, diagnostics)).collect();
    let described = document.map(|at| described(at, diagnostics)).unwrap_or_default();
    RawAttribute { path, told, output_attribute, phase, entries, operations, described }
}

fn operation(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawOperation {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &OPERATION, diagnostics);
    let (value, method) = (fields.string("value"), fields.string("method"));
    let template = fields.string("path");
    RawOperation { path, told: diagnostics.len() > before, value, method, template }
}

fn described((path, document): Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Operation> {
    match openapi(document) {
        Ok(operations) => operations,
        Err(problems) => {
            let told = problems.iter().map(|p| Diagnostic::error(path.clone(), p.to_string()));
            diagnostics.extend(told);
            Vec::new()
        }
    }
}

fn entry(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawEntry {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &ENTRY, diagnostics);
    let (condition, value) = (fields.string("condition"), fields.string("value"));
    RawEntry { path, told: diagnostics.len() > before, condition, value }
}

fn definition(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawDefinition {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &DEFINITION, diagnostics);
    let (name, value) = (fields.string("name"), fields.string("value"));
    let kind = fields.choice("type", KINDS);
    RawDefinition { path, told: diagnostics.len() > before, name, value, kind }
}

fn metric(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Override {
    let path = at.0.clone();
    let mut fields = Fields::open(at, &OVERRIDE, diagnostics);
    let name = fields.string("name").filter(|name| !name.is_empty());
    let mut dimensions = Vec::new();
    for (label, at) in fields.members("dimensions") {
        let (path, label) = (at.0.clone(), label.to_owned());
        if let Some(value) = fields.text(at) {
            dimensions.push(Dimension { path, label, value });
        }
    }
    Override {
        path,
        target: name.map_or(Target::All, Target::Named),
        dimensions,
        tags_to_remove: fields.strings("tags_to_remove"),
        drop: fields.boolean("drop").unwrap_or(false),
        when: match fields.string("match") {
            Some(condition) if !condition.is_empty() => When::Holds(condition),
            _ => When::Always,
        },
    }
}

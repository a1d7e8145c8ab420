//! The configuration as it is written: structure and types, nothing else.

use super::fields::{Fields, Located, Schema, describe};
use super::telemetry::{self, Telemetry};
use super::{Dimension, Override, Target, When};
use crate::diag::Diagnostic;
use crate::json::Json as Value;
use crate::operation::{Operation, openapi};

#[derive(Debug, Default)]
pub(super) struct RawConfig {
    pub attributes: Vec<RawAttribute>,
    pub definitions: Vec<RawDefinition>,
    pub telemetry: Telemetry,
    pub metrics: Vec<Override>,
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
    pub limits: RawLimits,
    pub prewarm: Option<RawPrewarm>,
}

#[derive(Debug, Default)]
pub(super) struct RawLimits {
    pub max_series: Option<u64>,
    pub max_values_per_dimension: Option<u64>,
    pub max_label_bytes: Option<u64>,
}

/// `None` for a list that is not given.
#[derive(Debug)]
pub(super) struct RawPrewarm {
    pub response_codes: Option<Vec<u64>>,
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
    /// Whether a problem of this object is reported already, so that a missing field needs no report of its own.
    pub reported: bool,
    /// Whether the attribute cannot be used: without one of its entries the others would match too much.
    pub unusable: bool,
    pub output_attribute: Option<String>,
    pub phase: Option<usize>,
    pub path_source: Option<usize>,
    pub entries: Vec<RawEntry>,
    pub operations: Vec<RawOperation>,
    pub described: Vec<Operation>,
}

#[derive(Debug)]
pub(super) struct RawOperation {
    pub path: String,
    pub reported: bool,
    pub unusable: bool,
    pub value: Option<String>,
    pub method: Option<String>,
    pub template: Option<String>,
}

#[derive(Debug)]
pub(super) struct RawEntry {
    pub path: String,
    pub reported: bool,
    pub unusable: bool,
    pub condition: Option<String>,
    pub value: Option<String>,
}

#[derive(Debug)]
pub(super) struct RawDefinition {
    pub path: String,
    pub unusable: bool,
    pub name: Option<String>,
    pub value: Option<String>,
    pub kind: Option<usize>,
}

/// Values of `attributes[].phase`.
pub(super) const PHASES: &[&str] = &["PHASE_UNSPECIFIED", "ON_REQUEST", "AFTER_RESPONSE"];
/// Values of `attributes[].path_source`.
pub(super) const PATH_SOURCES: &[&str] = &["RECEIVED", "SENT"];
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
        "limits",
        "max_peer_cache_size",
        "metadata_exchange",
        "metrics",
        "prewarm",
        "reporter",
        "rotation_interval",
        "standard_metrics",
        "stat_prefix",
        "strict",
        "tcp_reporting_duration",
        "telemetry",
        "value_separator",
    ],
    narrowing: &[],
};
const EXCHANGE: Schema = Schema {
    allowed: &["additional_labels", "max_peers", "skip_external"],
    narrowing: &["skip_external"],
};
const LIMITS: Schema = Schema {
    allowed: &["max_label_bytes", "max_series", "max_values_per_dimension"],
    narrowing: &[],
};
const PREWARM: Schema = Schema { allowed: &["response_codes"], narrowing: &[] };
const ATTRIBUTE: Schema = Schema {
    allowed: &["match", "openapi", "operations", "output_attribute", "path_source", "phase"],
    narrowing: &["match", "output_attribute"],
};
const OPERATION: Schema =
    Schema { allowed: &["method", "path", "value"], narrowing: &["method", "path", "value"] };
const ENTRY: Schema =
    Schema { allowed: &["condition", "value"], narrowing: &["condition", "value"] };
const DEFINITION: Schema =
    Schema { allowed: &["name", "type", "value"], narrowing: &["name", "type", "value"] };
const OVERRIDE: Schema = Schema {
    allowed: &["dimensions", "drop", "match", "name", "tags_to_remove"],
    narrowing: &["match", "name"],
};

/// Reads the text; problems are added to `diagnostics` and what they concern is left out.
///
/// # Errors
/// Nothing in it can be read: it is not JSON, or no object.
pub(super) fn read(
    text: &[u8],
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<RawConfig, Diagnostic> {
    if text.trim_ascii().is_empty() {
        return Ok(RawConfig::default());
    }
    let unreadable = |problem: String| Diagnostic::error("configuration", problem);
    match serde_json::from_slice::<Value>(text) {
        Ok(value @ Value::Object(_)) => Ok(config(&value, diagnostics)),
        Ok(value) => Err(unreadable(format!("found {}, expected an object", describe(&value)))),
        Err(_) if is_protobuf_struct(text) => Err(unreadable(
            "found a serialised google.protobuf.Struct, expected JSON: give the configuration as \
            google.protobuf.StringValue"
                .to_owned(),
        )),
        Err(error) => Err(unreadable(format!("not JSON: {error}"))),
    }
}

fn config(value: &Value, diagnostics: &mut Vec<Diagnostic>) -> RawConfig {
    let mut fields = Fields::open((String::new(), value), &CONFIG, diagnostics);
    fields.flag("debug");
    fields.milliseconds("rotation_interval");
    fields.milliseconds("graceful_deletion_interval");
    let attributes = fields.list("attributes");
    let definitions = fields.list("definitions");
    let metrics = fields.list("metrics");
    let exchange = fields.object("metadata_exchange");
    let telemetry = fields.object("telemetry");
    let (limits, prewarm) = (fields.object("limits"), fields.object("prewarm"));
    let raw = RawConfig {
        disable_host_header_fallback: fields.boolean("disable_host_header_fallback"),
        reporter: fields.choice("reporter", REPORTERS),
        standard_metrics: fields.boolean("standard_metrics"),
        strict: fields.boolean("strict"),
        stat_prefix: fields.string("stat_prefix"),
        field_separator: fields.string("field_separator"),
        value_separator: fields.string("value_separator"),
        max_peer_cache_size: fields.unsigned("max_peer_cache_size"),
        tcp_reporting_duration: fields.milliseconds("tcp_reporting_duration"),
        ..RawConfig::default()
    };
    RawConfig {
        attributes: attributes.into_iter().map(|at| attribute(at, diagnostics)).collect(),
        definitions: definitions.into_iter().map(|at| definition(at, diagnostics)).collect(),
        telemetry: telemetry.map(|at| telemetry::read(at, diagnostics)).unwrap_or_default(),
        metrics: metrics.into_iter().filter_map(|at| metric(at, diagnostics)).collect(),
        exchange: exchange.and_then(|at| self::exchange(at, diagnostics)),
        limits: limits.map(|at| self::limits(at, diagnostics)).unwrap_or_default(),
        prewarm: prewarm.map(|at| self::prewarm(at, diagnostics)),
        ..raw
    }
}

/// `None` for a value that is no object: what is sent to whom is never guessed.
fn exchange(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<RawExchange> {
    let is_object = at.1.as_object().is_some();
    let mut fields = Fields::open(at, &EXCHANGE, diagnostics);
    let (additional_labels, max_peers) =
        (fields.strings("additional_labels"), fields.unsigned("max_peers"));
    let skip_external = fields.boolean("skip_external");
    // Whoever tried to keep the headers inside the mesh gets that.
    let skip_external = if fields.is_too_wide() { Some(true) } else { skip_external };
    is_object.then_some(RawExchange { additional_labels, max_peers, skip_external })
}

fn limits(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawLimits {
    let mut fields = Fields::open(at, &LIMITS, diagnostics);
    RawLimits {
        max_series: fields.unsigned("max_series"),
        max_values_per_dimension: fields.unsigned("max_values_per_dimension"),
        max_label_bytes: fields.unsigned("max_label_bytes"),
    }
}

fn prewarm(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawPrewarm {
    let mut fields = Fields::open(at, &PREWARM, diagnostics);
    RawPrewarm { response_codes: fields.unsigned_list("response_codes") }
}

fn attribute(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawAttribute {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &ATTRIBUTE, diagnostics);
    let output_attribute = fields.string("output_attribute");
    let phase = fields.choice("phase", PHASES);
    let path_source = fields.choice("path_source", PATH_SOURCES);
    let entries = fields.list("match");
    let operations = fields.list("operations");
    let document = fields.object("openapi");
    let unusable = fields.is_too_wide();
    let reported = diagnostics.len() > before;
    let entries = entries.into_iter().map(|at| entry(at, diagnostics)).collect();
    let operations = operations.into_iter().map(|at| operation(at, diagnostics)).collect();
    let described = document.map(|at| described(at, diagnostics)).unwrap_or_default();
    RawAttribute {
        path,
        reported,
        unusable,
        output_attribute,
        phase,
        path_source,
        entries,
        operations,
        described,
    }
}

fn operation(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawOperation {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &OPERATION, diagnostics);
    let (value, method) = (fields.string("value"), fields.string("method"));
    let template = fields.string("path");
    let unusable = fields.is_too_wide();
    RawOperation { path, reported: diagnostics.len() > before, unusable, value, method, template }
}

fn described((path, document): Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Operation> {
    match openapi(document) {
        Ok(operations) => operations,
        Err(problems) => {
            let problems = problems.iter().map(|p| Diagnostic::error(path.clone(), p.to_string()));
            diagnostics.extend(problems);
            Vec::new()
        }
    }
}

fn entry(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawEntry {
    let path = at.0.clone();
    let before = diagnostics.len();
    let mut fields = Fields::open(at, &ENTRY, diagnostics);
    let (condition, value) = (fields.string("condition"), fields.string("value"));
    let unusable = fields.is_too_wide();
    RawEntry { path, reported: diagnostics.len() > before, unusable, condition, value }
}

fn definition(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> RawDefinition {
    let path = at.0.clone();
    let mut fields = Fields::open(at, &DEFINITION, diagnostics);
    let (name, value) = (fields.string("name"), fields.string("value"));
    let kind = fields.choice("type", KINDS);
    RawDefinition { path, unusable: fields.is_too_wide(), name, value, kind }
}

/// `None` for an entry that would change more than was meant.
fn metric(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Override> {
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
    let change = Override {
        path,
        target: name.map_or(Target::All, Target::Named),
        dimensions,
        tags_to_remove: fields.strings("tags_to_remove"),
        drop: fields.boolean("drop").unwrap_or(false),
        when: match fields.string("match") {
            Some(condition) if !condition.is_empty() => When::Holds(condition),
            _ => When::Always,
        },
    };
    (!fields.is_too_wide()).then_some(change)
}

/// Whether bytes are a message whose fields are all number 1 and length-delimited, as the entries of a
/// `google.protobuf.Struct`: what Envoy hands over for a configuration of that type.
fn is_protobuf_struct(mut bytes: &[u8]) -> bool {
    const ENTRY: u8 = 1 << 3 | 2;
    const KEY: u8 = 1 << 3 | 2;
    while let Some(rest) = bytes.strip_prefix(&[ENTRY]) {
        let Some((length, rest)) = varint(rest) else { return false };
        let Some((entry, rest)) = rest.split_at_checked(length) else { return false };
        if entry.first() != Some(&KEY) {
            return false;
        }
        bytes = rest;
    }
    bytes.is_empty()
}

/// A length of at most 28 bits, and what follows.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        value |=
            usize::from(byte & 0x7f).checked_shl(u32::try_from(place).ok()?.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place.checked_add(1)?..)?));
        }
    }
    None
}

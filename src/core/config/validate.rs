//! From structure to meaning: defaults, names, duplicates.

use super::limits::{limits, prewarm};
use super::raw::{RawAttribute, RawConfig, RawDefinition, RawEntry, RawOperation};
use super::telemetry;
use super::{
    Attribute, Config, Definition, Entry, MetadataExchange, Operation, Override, PathSource, Phase,
    ReporterMode, StatNames, Target,
};
use crate::diag::{Diagnostic, suggestion};
use crate::limits::{DEFAULT_REPORTING_INTERVAL, MAX_NAME_BYTES, MAX_SEPARATOR_BYTES};
use crate::metric::standard;
use crate::operation::{Template, Tree};
use crate::peer::cache::DEFAULT_MAX_PEERS;
use crate::port::MetricKind;
use crate::text::cut;

type Diagnostics = Vec<Diagnostic>;

/// Identifiers that Envoy resolves itself: an attribute of that name could never be read by its bare name.
const RESERVED: &[&str] = &[
    "connection",
    "destination",
    "filter_state",
    "metadata",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "request",
    "response",
    "source",
    "upstream",
    "upstream_filter_state",
    "xds",
];

/// Reads the meaning out of `raw`; what has a problem is left out of the result and reported.
pub(super) fn validate(raw: RawConfig, diagnostics: &mut Diagnostics) -> Config {
    let definitions = definitions(raw.definitions, diagnostics);
    let telemetry = raw.telemetry;
    let mut metrics = telemetry.overrides;
    metrics.extend(raw.metrics);
    metrics.iter_mut().for_each(|change| metric(change, &definitions, diagnostics));
    let names = stat_names(raw.stat_prefix, raw.field_separator, raw.value_separator, diagnostics);
    Config {
        attributes: raw.attributes.into_iter().filter_map(|a| attribute(a, diagnostics)).collect(),
        metrics,
        definitions,
        disable_host_header_fallback: raw.disable_host_header_fallback.unwrap_or(false),
        reporter: match raw.reporter {
            Some(1) => ReporterMode::ServerGateway,
            _ => ReporterMode::ByDirection,
        },
        standard_metrics: raw.standard_metrics.unwrap_or(true) && !telemetry.disabled.is_complete(),
        disabled: telemetry.disabled,
        strict: raw.strict.unwrap_or(false),
        stat_names: names,
        exchange: raw.exchange.map(|exchange| {
            let max_peers = exchange.max_peers.or(raw.max_peer_cache_size);
            MetadataExchange {
                additional_labels: exchange.additional_labels,
                max_peers: max_peers
                    .map_or(DEFAULT_MAX_PEERS, |n| usize::try_from(n).unwrap_or(usize::MAX)),
                skip_external: exchange.skip_external.unwrap_or(false),
            }
        }),
        limits: limits(&raw.limits, diagnostics),
        prewarm: raw.prewarm.map(|raw| prewarm(raw, diagnostics)),
        reporting_interval: raw
            .tcp_reporting_duration
            .or(telemetry.reporting_interval)
            .map_or(DEFAULT_REPORTING_INTERVAL, |ms| u32::try_from(ms).unwrap_or(u32::MAX)),
    }
}

fn attribute(raw: RawAttribute, diagnostics: &mut Diagnostics) -> Option<Attribute> {
    let path = format!("{}.output_attribute", raw.path);
    let mut complete = !raw.unusable;
    let mut entries = Vec::new();
    for item in raw.entries {
        let entry = entry(item, diagnostics);
        complete &= entry.is_some();
        entries.extend(entry);
    }
    let operations = operations(raw.operations, diagnostics);
    check_described(&raw.path, &raw.described, diagnostics);
    let Some(name) = raw.output_attribute else {
        if !raw.reported {
            diagnostics.push(Diagnostic::error(path, "missing, expected the attribute's name"));
        }
        return None;
    };
    if let Some(problem) = attribute_name_problem(&name) {
        diagnostics.push(Diagnostic::error(path, format!("found \"{name}\", {problem}")));
        return None;
    }
    if !complete {
        let problem = format!("attribute \"{name}\" is left out, since an entry of it is");
        diagnostics.push(Diagnostic::error(raw.path, problem));
        return None;
    }
    let phase = if raw.phase == Some(1) { Phase::OnRequest } else { Phase::AfterResponse };
    let sent = raw.path_source == Some(1);
    if sent && phase == Phase::OnRequest {
        let problem = "SENT is known after the request only, has no effect in phase ON_REQUEST";
        diagnostics.push(Diagnostic::warning(format!("{}.path_source", raw.path), problem));
    }
    let path = if sent { PathSource::Sent } else { PathSource::Received };
    Some(Attribute { name, phase, path, entries, operations, described: raw.described })
}

fn attribute_name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains('.') || !is_name(name) {
        return Some("expected letters, digits, `_` and `-` without a `.`");
    }
    RESERVED.contains(&name).then_some("which is the name of an Envoy attribute, choose another")
}

fn entry(raw: RawEntry, diagnostics: &mut Diagnostics) -> Option<Entry> {
    let Some(value) = raw.value.filter(|_| !raw.unusable) else {
        if !raw.reported {
            let path = format!("{}.value", raw.path);
            diagnostics.push(Diagnostic::error(path, "missing, expected the attribute's value"));
        }
        return None;
    };
    Some(Entry { condition: raw.condition.unwrap_or_default(), value })
}

fn operations(raw: Vec<RawOperation>, diagnostics: &mut Diagnostics) -> Vec<Operation> {
    let mut tree = Tree::default();
    let mut kept: Vec<(String, Operation)> = Vec::new();
    for item in raw {
        let path = item.path.clone();
        let Some(operation) = operation(item, diagnostics) else { continue };
        let number = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let method = operation.method.as_deref();
        if let Err(conflict) = tree.insert(method, &operation.template, number) {
            let twin = usize::try_from(conflict.with).ok().and_then(|with| kept.get(with));
            let twin = twin.map(|(path, twin)| format!("{path} (\"{}\")", twin.template.text()));
            let text = operation.template.text();
            let problem =
                format!("\"{text}\" stands for the same paths as {}", twin.unwrap_or_default());
            diagnostics.push(Diagnostic::error(format!("{path}.path"), problem));
        }
        kept.push((path, operation));
    }
    kept.into_iter().map(|(_, operation)| operation).collect()
}

fn operation(raw: RawOperation, diagnostics: &mut Diagnostics) -> Option<Operation> {
    let path = format!("{}.path", raw.path);
    let Some(text) = raw.template.filter(|_| !raw.unusable) else {
        if !raw.reported {
            let problem = "missing, expected a template such as \"/users/{id}\"";
            diagnostics.push(Diagnostic::error(path, problem));
        }
        return None;
    };
    let method = raw.method.filter(|method| !method.is_empty());
    match Template::parse(&text) {
        Ok(template) => {
            let value = raw.value.filter(|value| !value.is_empty());
            let value = value.unwrap_or_else(|| match &method {
                Some(method) => format!("{method} {text}"),
                None => text.clone(),
            });
            Some(Operation { method, template, value })
        }
        Err(problem) => {
            diagnostics.push(Diagnostic::error(path, format!("found \"{text}\", {problem}")));
            None
        }
    }
}

fn check_described(path: &str, described: &[super::Described], diagnostics: &mut Diagnostics) {
    let mut tree = Tree::default();
    for (number, operation) in described.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let inserted = tree.insert(Some(operation.method), &operation.template, number);
        if let Err(conflict) = inserted {
            let twin = usize::try_from(conflict.with).ok().and_then(|with| described.get(with));
            let twin = twin.map(|twin| twin.place.as_str()).unwrap_or_default();
            let problem = format!("{} stands for the same paths as {twin}", operation.place);
            diagnostics.push(Diagnostic::error(format!("{path}.openapi"), problem));
        }
    }
}

/// Istio skips what it cannot use here and keeps the rest, so these are warnings.
fn definitions(raw: Vec<RawDefinition>, diagnostics: &mut Diagnostics) -> Vec<Definition> {
    let mut kept: Vec<(String, Definition)> = Vec::new();
    for item in raw.into_iter().filter(|item| !item.unusable) {
        let name = item.name.unwrap_or_default();
        let value = item.value.unwrap_or_default();
        let twin = kept.iter().find(|(_, d)| d.name == name).map(|(path, _)| path.as_str());
        if let Some((field, problem)) = definition_problem(&name, &value, twin) {
            let path = format!("{}.{field}", item.path);
            diagnostics.push(Diagnostic::warning(path, format!("{problem}, left out")));
            continue;
        }
        let kind = match item.kind {
            Some(1) => MetricKind::Gauge,
            Some(2) => MetricKind::Histogram,
            _ => MetricKind::Counter,
        };
        kept.push((item.path, Definition { name, value, kind }));
    }
    kept.into_iter().map(|(_, definition)| definition).collect()
}

fn definition_problem(
    name: &str,
    value: &str,
    twin: Option<&str>,
) -> Option<(&'static str, String)> {
    if name.is_empty() {
        return Some(("name", "missing or empty".to_owned()));
    }
    if !is_name(name) {
        return Some(("name", format!("found \"{name}\", expected {NAME_RULE}")));
    }
    if standard::is_standard(name) {
        return Some(("name", format!("\"{name}\" is a standard metric")));
    }
    if let Some(twin) = twin {
        return Some(("name", format!("\"{name}\" is defined already by {twin}")));
    }
    value.is_empty().then(|| ("value", "missing or empty".to_owned()))
}

fn metric(change: &mut Override, definitions: &[Definition], diagnostics: &mut Diagnostics) {
    check_target(change, definitions, diagnostics);
    change.dimensions.retain(|dimension| {
        let fine = is_name(&dimension.label);
        if !fine {
            let problem = format!("not a label name, expected {NAME_RULE}");
            diagnostics.push(Diagnostic::error(dimension.path.as_str(), problem));
        }
        fine
    });
}

/// Istio ignores names it does not know and drops only standard metrics.
fn check_target(change: &mut Override, definitions: &[Definition], diagnostics: &mut Diagnostics) {
    let [name_field, drop_field] = match change.path.starts_with(telemetry::PATH) {
        true => ["match.customMetric", "disabled"],
        false => ["name", "drop"],
    };
    let mut warn = |field, problem: String| {
        let path = format!("{}.{field}", change.path);
        diagnostics.push(Diagnostic::warning(path, problem));
    };
    let custom = |name: &String| definitions.iter().any(|d| d.name == *name);
    match &change.target {
        Target::Standard => {}
        Target::Named(name) if standard::is_standard(name) => {}
        Target::Named(name) if !custom(name) => {
            let mut known = Vec::new();
            known.extend(standard::ALL.iter().map(|metric| metric.name));
            known.extend(definitions.iter().map(|d| d.name.as_str()));
            let given = name.strip_prefix("istio_").unwrap_or(name);
            let hint = suggestion(given, known.iter().copied());
            warn(name_field, format!("unknown metric \"{name}\"{hint}; the entry has no effect"));
        }
        Target::All | Target::Named(_) => {
            if std::mem::take(&mut change.drop) {
                let problem = "works for a named standard metric only, has no effect here";
                warn(drop_field, problem.to_owned());
            }
        }
    }
}

fn stat_names(
    prefix: Option<String>,
    field: Option<String>,
    value: Option<String>,
    diagnostics: &mut Diagnostics,
) -> StatNames {
    let mut names = StatNames::default();
    if let Some(prefix) = prefix.filter(|p| !p.is_empty()) {
        if is_name(&prefix) {
            names.prefix = prefix;
        } else {
            let problem = format!("found \"{prefix}\", expected {NAME_RULE}");
            diagnostics.push(Diagnostic::error("stat_prefix", problem));
        }
    }
    for (path, given, place) in [
        ("field_separator", field, &mut names.field_separator),
        ("value_separator", value, &mut names.value_separator),
    ] {
        match given.filter(|text| !text.is_empty()) {
            Some(text) if is_separator(&text) => *place = text,
            Some(text) => diagnostics.push(Diagnostic::error(
                path,
                format!("found \"{text}\", expected at most {MAX_SEPARATOR_BYTES} of !#$%&*+,-./:;<=>?@^|~"),
            )),
            None => {}
        }
    }
    let (field, value) = (&names.field_separator, &names.value_separator);
    if cut(field, value).is_some() || cut(value, field).is_some() {
        let problem = format!(
            "\"{value}\" and the field separator \"{field}\" contain each other, choose different ones"
        );
        diagnostics.push(Diagnostic::error("value_separator", problem));
        let StatNames { field_separator, value_separator, .. } = StatNames::default();
        names = StatNames { field_separator, value_separator, ..names };
    }
    names
}

const NAME_RULE: &str = "at most 127 letters, digits, `_`, `.`, `:`, `/` and `-`";

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b))
}

/// Letters, digits and `_` never occur in a separator, so a `_` can always break one inside a value.
fn is_separator(text: &str) -> bool {
    text.len() <= MAX_SEPARATOR_BYTES && text.bytes().all(|b| b"!#$%&*+,-./:;<=>?@^|~".contains(&b))
}

//! Config -> Plan: the only place that joins attributes, expressions, labels and metrics.

use super::layout::{Layout, group};
use super::needs::{is_of_request, needs};
use super::{AttributePlan, ExchangePlan, MetricPlan, Plan, Source};
use crate::config::{Attribute, Config, Override, ReporterMode};
use crate::diag::Diagnostic;
use crate::expr::{Names, Program, peer_label};
use crate::mesh::LocalNode;
use crate::metric::name::{self, Encoder};
use crate::metric::standard::{self, Measure, Occasion};
use crate::peer::LabelNames;
use crate::port::Host;

/// Compiles a configuration. What does not compile is left out and told in `warnings`, as Istio does.
pub fn compile(config: &Config, host: &mut impl Host, warnings: &mut Vec<Diagnostic>) -> Plan {
    let local = LocalNode::read(host);
    let mut attribute_names: Vec<String> = Vec::new();
    for attribute in &config.attributes {
        if !attribute_names.contains(&attribute.name) {
            // Without its type the attribute is bytes to other expressions, still of the same content.
            let _ = host.declare(&attribute.name);
            attribute_names.push(attribute.name.clone());
        }
    }
    let attributes = config
        .attributes
        .iter()
        .enumerate()
        .filter_map(|(i, a)| compile_attribute(i, a, &attribute_names, host, warnings))
        .collect();
    let peer_labels = peer_labels(config);
    let names = Names { attributes: &attribute_names, labels: &peer_labels };
    let mut expressions = Expressions { names, seen: Vec::new(), programs: Vec::new() };
    let layouts = layouts(config, &mut expressions, host, warnings);
    let programs = expressions.programs;
    let groups = group(layouts);
    let of_requests = [Occasion::Request, Occasion::Messages, Occasion::End];
    let request_facts = needs(&groups, &programs, &of_requests);
    let message_facts = needs(&groups, &programs, &[Occasion::Messages]);
    let mut connection_facts = needs(&groups, &programs, &[Occasion::Connection, Occasion::End]);
    connection_facts.retain(|fact| !is_of_request(*fact));
    Plan {
        waypoint: config.reporter == ReporterMode::ServerGateway,
        no_host_fallback: config.disable_host_header_fallback,
        request_facts,
        connection_facts,
        message_facts,
        exchange: config.exchange.as_ref().map(|exchange| ExchangePlan::new(exchange, host)),
        peer_labels,
        reporting_interval: config.reporting_interval,
        attributes,
        attribute_names,
        expressions: programs,
        groups,
        encoder: Encoder::new(&config.stat_names, local.istio_bootstrap),
        build_info: config
            .standard_metrics
            .then(|| name::build_info(&config.stat_names.prefix, &local.istio_version)),
        local,
    }
}

/// One condition that does not compile takes the whole attribute out: the entries behind it would match too much.
fn compile_attribute(
    index: usize,
    attribute: &Attribute,
    names: &[String],
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Option<AttributePlan> {
    let mut entries = Vec::new();
    let mut complete = true;
    for (i, entry) in attribute.entries.iter().enumerate() {
        if entry.condition.is_empty() {
            entries.push((None, entry.value.clone().into_bytes()));
            continue;
        }
        match Program::condition(&entry.condition, host) {
            Ok(program) => entries.push((Some(program), entry.value.clone().into_bytes())),
            Err(problem) => {
                complete = false;
                let path = format!("attributes[{index}].match[{i}].condition");
                let name = &attribute.name;
                let message = format!("{problem}; attribute \"{name}\" is left out");
                warnings.push(Diagnostic::warning(path, message));
            }
        }
    }
    let name = names.iter().position(|name| *name == attribute.name)?;
    complete.then_some(AttributePlan { name, phase: attribute.phase, entries })
}

/// Pod labels of peers to keep: those that are exchanged, and those that expressions read (older sidecars send all).
fn peer_labels(config: &Config) -> LabelNames {
    let exchanged = config.exchange.iter().flat_map(|exchange| &exchange.additional_labels);
    let dimensions = config.metrics.iter().flat_map(|entry| &entry.dimensions);
    let values = config.definitions.iter().map(|definition| &definition.value);
    let read = dimensions.map(|(_, text)| text).chain(values).filter_map(|text| peer_label(text));
    LabelNames::new(exchanged.map(String::as_str).chain(read))
}

/// The expressions of a plan, each text compiled once.
struct Expressions<'a> {
    names: Names<'a>,
    seen: Vec<(String, Result<usize, String>)>,
    programs: Vec<Program>,
}

impl Expressions<'_> {
    fn compile(&mut self, text: &str, host: &mut impl Host) -> Result<usize, String> {
        if let Some((_, known)) = self.seen.iter().find(|(seen, _)| seen == text) {
            return known.clone();
        }
        let compiled = Program::text(text, &self.names, host).map(|program| {
            self.programs.push(program);
            self.programs.len().saturating_sub(1)
        });
        self.seen.push((text.to_owned(), compiled.clone()));
        compiled
    }
}

fn layouts(
    config: &Config,
    expressions: &mut Expressions<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Vec<Layout> {
    let mut layouts = if config.standard_metrics { standard_layouts(config) } else { Vec::new() };
    for (i, definition) in config.definitions.iter().enumerate() {
        match expressions.compile(&definition.value, host) {
            Ok(value) => layouts.push(Layout::new(
                &definition.name,
                Occasion::End,
                MetricPlan {
                    name: stat_name(config, &definition.name),
                    kind: definition.kind,
                    measure: Measure::Expression(value),
                },
            )),
            Err(problem) => {
                let name = &definition.name;
                let path = format!("definitions[{i}].value");
                let message = format!("{problem}; metric \"{name}\" is left out");
                warnings.push(Diagnostic::warning(path, message));
            }
        }
    }
    for (i, change) in config.metrics.iter().enumerate() {
        apply(i, change, &mut layouts, expressions, host, warnings);
    }
    layouts
}

fn standard_layouts(config: &Config) -> Vec<Layout> {
    standard::ALL
        .iter()
        .map(|metric| {
            let plan = MetricPlan {
                name: stat_name(config, metric.name),
                kind: metric.kind,
                measure: metric.measure,
            };
            Layout::new(metric.name, metric.occasion, plan)
        })
        .collect()
}

fn stat_name(config: &Config, name: &str) -> String {
    format!("{}_{name}", config.stat_names.prefix)
}

/// Within one entry: `drop`, then `tags_to_remove`, then `dimensions` by name.
fn apply(
    index: usize,
    change: &Override,
    layouts: &mut Vec<Layout>,
    expressions: &mut Expressions<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) {
    if change.drop && standard::is_standard(&change.name) {
        layouts.retain(|layout| layout.name != change.name);
        return;
    }
    let dimensions: Vec<(&str, Option<usize>)> = change
        .dimensions
        .iter()
        .map(|(label, text)| {
            let compiled = expressions.compile(text, host);
            if let Err(problem) = &compiled {
                let path = format!("metrics[{index}].dimensions.{label}");
                let message = format!("{problem}; label \"{label}\" is left out");
                warnings.push(Diagnostic::warning(path, message));
            }
            (label.as_str(), compiled.ok())
        })
        .collect();
    for layout in layouts.iter_mut().filter(|l| change.name.is_empty() || l.name == change.name) {
        change.tags_to_remove.iter().for_each(|label| layout.remove(label));
        for (label, compiled) in &dimensions {
            match compiled {
                Some(program) => layout.set(label, Source::Expression(*program)),
                None => layout.remove(label),
            }
        }
    }
}

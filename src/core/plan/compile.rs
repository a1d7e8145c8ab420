//! Config -> Plan: the only place that joins attributes, expressions, labels and metrics.

use super::layout::{Layout, group};
use super::needs::{is_of_request, needs};
use super::prewarm::{attribute_values, reads};
use super::{AttributePlan, ExchangePlan, MetricPlan, Plan, PrewarmPlan, Source, left_out};
use crate::attribute::Fact;
use crate::config::{Config, Override, Phase, ReporterMode};
use crate::diag::Diagnostic;
use crate::expr::{Names, PeersRead, Program, Side, peer_label};
use crate::mesh::LocalNode;
use crate::metric::name::{self, Encoder};
use crate::metric::standard::{self, Measure, Occasion};
use crate::peer::LabelNames;
use crate::port::{Content, Host};

/// Compiles a configuration. What does not compile is left out and told in `warnings`, as Istio does.
pub fn compile(config: &Config, host: &mut impl Host, warnings: &mut Vec<Diagnostic>) -> Plan {
    let local = LocalNode::read(host);
    let mut attribute_names: Vec<String> = Vec::new();
    for attribute in &config.attributes {
        if !attribute_names.contains(&attribute.name) {
            // Without its type the attribute is bytes to other expressions, still of the same content.
            let _ = host.declare(&attribute.name, Content::Text);
            attribute_names.push(attribute.name.clone());
        }
    }
    let peer_labels = peer_labels(config);
    let names = Names {
        attributes: &attribute_names,
        labels: &peer_labels,
        exchange: config.exchange.is_some(),
    };
    let attributes = attributes(config, &names, host, warnings);
    let mut expressions =
        Expressions { names, seen: Vec::new(), programs: Vec::new(), conditions: Vec::new() };
    let layouts = layouts(config, &mut expressions, host, warnings);
    let Expressions { programs, conditions, seen, .. } = expressions;
    let published_peers = published_peers(&attributes, &[&programs, &conditions], host);
    let groups = group(layouts);
    let prewarm = config.prewarm.as_ref().map(|prewarm| {
        let known = |index| {
            let (text, _) = seen.iter().find(|(_, compiled)| *compiled == Ok(index))?;
            reads(text, &attribute_names)
        };
        let values = attribute_values(config, &attribute_names);
        PrewarmPlan::new(prewarm, values, &groups, known)
    });
    let of_requests = [Occasion::Request, Occasion::Messages, Occasion::End];
    let mut request_facts = needs(&groups, &programs, &of_requests);
    request_facts.extend(of_attributes(&attributes, Phase::AfterResponse));
    let message_facts = needs(&groups, &programs, &[Occasion::Messages]);
    let mut connection_facts = needs(&groups, &programs, &[Occasion::Connection, Occasion::End]);
    connection_facts.retain(|fact| !is_of_request(*fact));
    Plan {
        waypoint: config.reporter == ReporterMode::ServerGateway,
        no_host_fallback: config.disable_host_header_fallback,
        early_facts: of_attributes(&attributes, Phase::OnRequest),
        request_facts,
        connection_facts,
        message_facts,
        conditions,
        published_peers,
        exchange: config.exchange.as_ref().map(|exchange| {
            ExchangePlan::new(exchange, config.reporter == ReporterMode::ServerGateway, host)
        }),
        peer_labels,
        reporting_interval: config.reporting_interval,
        attributes,
        attribute_names,
        expressions: programs,
        groups,
        encoder: Encoder::new(
            &config.stat_names,
            local.istio_bootstrap,
            config.limits.max_label_bytes,
        ),
        limits: config.limits.clone(),
        prewarm,
        build_info: config
            .standard_metrics
            .then(|| name::build_info(&config.stat_names.prefix, &local.istio_version)),
        local,
    }
}

fn attributes(
    config: &Config,
    names: &Names<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Vec<AttributePlan> {
    let mut plans = Vec::new();
    for (i, attribute) in config.attributes.iter().enumerate() {
        let known = names.attributes.iter();
        let name = known.into_iter().position(|name| *name == attribute.name).unwrap_or_default();
        let at = format!("attributes[{i}]");
        plans.extend(AttributePlan::compile(&at, name, attribute, names, host, warnings));
    }
    plans
}

/// The peers that expressions of the host read, declared.
fn published_peers(
    attributes: &[AttributePlan],
    programs: &[&[Program]],
    host: &mut impl Host,
) -> PeersRead {
    let programs = programs.iter().copied().flatten().map(Program::publishes);
    let all = attributes.iter().map(AttributePlan::publishes).chain(programs);
    let read = all.fold(PeersRead::default(), PeersRead::or);
    for side in Side::ALL.into_iter().filter(|side| read.reads(*side)) {
        let _ = host.declare(side.key(), Content::Struct);
    }
    read
}

/// The facts that attributes of a phase are found by.
fn of_attributes(attributes: &[AttributePlan], phase: Phase) -> Vec<Fact> {
    let by_path = attributes.iter().any(|a| a.phase == phase && a.needs_path());
    if by_path { vec![Fact::Method, Fact::Path] } else { Vec::new() }
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
    conditions: Vec<Program>,
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

    /// The condition of an entry of `metrics`, `None` when it always applies.
    fn condition(&mut self, text: &str, host: &mut impl Host) -> Result<Option<usize>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        self.conditions.push(Program::condition(text, &self.names, host)?);
        Ok(self.conditions.len().checked_sub(1))
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
                    unless: Vec::new(),
                },
            )),
            Err(problem) => {
                let name = &definition.name;
                let path = format!("definitions[{i}].value");
                let what = format!("metric \"{name}\" is left out");
                warnings.push(left_out(path, &problem, &what));
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
                unless: Vec::new(),
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
    let when = match expressions.condition(&change.condition, host) {
        Ok(when) => when,
        Err(problem) => {
            let path = format!("metrics[{index}].match");
            warnings.push(left_out(path, &problem, "the entry has no effect"));
            return;
        }
    };
    if change.drop && standard::is_standard(&change.name) {
        match when {
            None => layouts.retain(|layout| layout.name != change.name),
            Some(when) => layouts
                .iter_mut()
                .filter(|layout| layout.name == change.name)
                .for_each(|layout| layout.metric.unless.push(when)),
        }
        return;
    }
    let dimensions = dimensions(index, change, expressions, host, warnings);
    let named = |layout: &&mut Layout| change.name.is_empty() || layout.name == change.name;
    for layout in layouts.iter_mut().filter(named) {
        change.tags_to_remove.iter().for_each(|label| layout.remove(label, when));
        for (label, compiled) in &dimensions {
            match compiled {
                Some(program) => layout.set(label, Source::Expression(*program), when),
                None => layout.remove(label, when),
            }
        }
    }
}

fn dimensions<'c>(
    index: usize,
    change: &'c Override,
    expressions: &mut Expressions<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Vec<(&'c str, Option<usize>)> {
    let mut dimensions = Vec::new();
    for (label, text) in &change.dimensions {
        let compiled = expressions.compile(text, host);
        if let Err(problem) = &compiled {
            let path = format!("metrics[{index}].dimensions.{label}");
            warnings.push(left_out(path, problem, &format!("label \"{label}\" is left out")));
        }
        dimensions.push((label.as_str(), compiled.ok()));
    }
    dimensions
}

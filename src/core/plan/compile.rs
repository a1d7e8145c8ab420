//! Config -> Plan: the only place that joins attributes, expressions, labels and metrics.

use super::attribute::AttributePlan;
use super::layout::{Layout, group};
use super::needs::{is_of_request, needs};
use super::reads::{PEERS, Reads, pod_label};
use super::{ExchangePlan, Group, MetricPlan, Plan, ScopePlan, Source, left_out};
use crate::attribute::Fact;
use crate::config::{Config, Override, Phase, ReporterMode};
use crate::diag::Diagnostic;
use crate::expr::{Bound, Findings, Scope};
use crate::mesh::LocalNode;
use crate::metric::name::{self, Encoder};
use crate::metric::standard::{self, Measure, Occasion};
use crate::peer::LabelNames;
use crate::port::Host;

/// Compiles a configuration. What does not compile is left out and told in `warnings`, as Istio does.
pub fn compile(config: &Config, host: &mut impl Host, warnings: &mut Vec<Diagnostic>) -> Plan {
    let local = LocalNode::read(host);
    let attribute_names = attribute_names(config, host);
    let derived: Vec<String> =
        attribute_names.iter().cloned().chain(PEERS.map(|(name, _)| name.to_owned())).collect();
    let mut early = Scope::new(&derived);
    let mut late = Scope::new(&derived);
    let attributes = attributes(config, &attribute_names, &mut early, &mut late, host, warnings);
    let mut compiler = Compiler { scope: late, seen: Vec::new(), ..Compiler::new(&derived) };
    let layouts = compiler.layouts(config, host, warnings);
    let Compiler { scope: late, programs, conditions, .. } = compiler;
    let labels = peer_labels(config, &[&early, &late], attribute_names.len());
    let groups = group(layouts);
    let reads = |scope: &Scope<'_>| Reads::new(&scope.slots, attribute_names.len(), &labels);
    Plan {
        request: late_plan(&groups, reads(&late), &attributes),
        connection: connection_plan(&groups, reads(&late)),
        early: early_plan(reads(&early), &attributes),
        waypoint: config.reporter == ReporterMode::ServerGateway,
        no_host_fallback: config.disable_host_header_fallback,
        exchange: config.exchange.as_ref().map(|exchange| ExchangePlan::new(exchange, host)),
        reporting_interval: config.reporting_interval,
        attributes,
        expressions: programs,
        conditions,
        groups,
        encoder: Encoder::new(&config.stat_names, local.istio_bootstrap),
        build_info: config
            .standard_metrics
            .then(|| name::build_info(&config.stat_names.prefix, &local.istio_version)),
        local,
        peer_labels: labels,
        attribute_names,
    }
}

fn attribute_names(config: &Config, host: &mut impl Host) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for attribute in &config.attributes {
        if !names.contains(&attribute.name) {
            // Without its type the attribute is bytes to other expressions, still of the same content.
            let _ = host.declare(&attribute.name);
            names.push(attribute.name.clone());
        }
    }
    names
}

fn attributes<'n>(
    config: &Config,
    names: &[String],
    early: &mut Scope<'n>,
    late: &mut Scope<'n>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) -> Vec<AttributePlan> {
    let mut plans = Vec::new();
    for (i, attribute) in config.attributes.iter().enumerate() {
        let scope = match attribute.phase {
            Phase::OnRequest => &mut *early,
            Phase::AfterResponse => &mut *late,
        };
        let at = format!("attributes[{i}]");
        let name = names.iter().position(|name| *name == attribute.name).unwrap_or_default();
        plans.extend(AttributePlan::compile(&at, name, attribute, scope, host, warnings));
    }
    plans
}

/// What the end of a request needs.
fn late_plan(groups: &[Group], reads: Reads, attributes: &[AttributePlan]) -> ScopePlan {
    let occasions = [Occasion::Request, Occasion::Messages, Occasion::End];
    let mut facts = needs(groups, &reads, &occasions);
    facts.extend(of_attributes(attributes, Phase::AfterResponse));
    ScopePlan { facts, reads }
}

fn connection_plan(groups: &[Group], reads: Reads) -> ScopePlan {
    let mut facts = needs(groups, &reads, &[Occasion::Connection, Occasion::End]);
    facts.retain(|fact| !is_of_request(*fact));
    ScopePlan { facts, reads }
}

/// What the attributes of the request phase need.
fn early_plan(reads: Reads, attributes: &[AttributePlan]) -> ScopePlan {
    ScopePlan { facts: of_attributes(attributes, Phase::OnRequest), reads }
}

fn of_attributes(attributes: &[AttributePlan], phase: Phase) -> Vec<Fact> {
    let by_path = attributes.iter().any(|a| a.phase == phase && a.needs_path);
    if by_path { vec![Fact::Method, Fact::Path] } else { Vec::new() }
}

/// Pod labels of peers to keep: those that are exchanged, and those that expressions read (older sidecars send all).
fn peer_labels(config: &Config, scopes: &[&Scope<'_>], attributes: usize) -> LabelNames {
    let exchanged = config.exchange.iter().flat_map(|exchange| &exchange.additional_labels);
    let reads = scopes.iter().flat_map(|scope| scope.slots.reads());
    let read = reads.filter_map(|read| pod_label(read, attributes));
    LabelNames::new(exchanged.map(String::as_str).chain(read))
}

/// Compiles the expressions of metrics, each text once.
struct Compiler<'n> {
    scope: Scope<'n>,
    seen: Vec<(String, Result<usize, Findings>)>,
    programs: Vec<Bound>,
    conditions: Vec<Bound>,
}

// === impl Compiler ===

impl<'n> Compiler<'n> {
    fn new(derived: &'n [String]) -> Self {
        Self {
            scope: Scope::new(derived),
            seen: Vec::new(),
            programs: Vec::new(),
            conditions: Vec::new(),
        }
    }

    fn text(
        &mut self,
        path: &str,
        text: &str,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<usize, Findings> {
        if let Some((_, known)) = self.seen.iter().find(|(seen, _)| seen == text) {
            return known.clone();
        }
        let compiled = self.scope.text(text, host).map(|(program, doubts)| {
            warnings.extend(doubts.into_iter().map(|doubt| Diagnostic::warning(path, doubt)));
            self.programs.push(program);
            self.programs.len().saturating_sub(1)
        });
        self.seen.push((text.to_owned(), compiled.clone()));
        compiled
    }

    fn layouts(
        &mut self,
        config: &Config,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Vec<Layout> {
        let mut layouts = Vec::new();
        if config.standard_metrics {
            layouts = standard_layouts(config);
        }
        for (i, definition) in config.definitions.iter().enumerate() {
            let path = format!("definitions[{i}].value");
            let metric = |value| MetricPlan {
                name: stat_name(config, &definition.name),
                kind: definition.kind,
                measure: Measure::Expression(value),
                unless: Vec::new(),
            };
            match self.text(&path, &definition.value, host, warnings) {
                Ok(value) => {
                    layouts.push(Layout::new(&definition.name, Occasion::End, metric(value)));
                }
                Err(problems) => {
                    let what = format!("metric \"{}\" is left out", definition.name);
                    warnings.extend(left_out(&path, problems, &what));
                }
            }
        }
        for (i, change) in config.metrics.iter().enumerate() {
            self.apply(i, change, &mut layouts, host, warnings);
        }
        layouts
    }

    /// Within one entry: `drop`, then `tags_to_remove`, then `dimensions` by name.
    fn apply(
        &mut self,
        index: usize,
        change: &Override,
        layouts: &mut Vec<Layout>,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) {
        let Ok(when) = self.condition(index, &change.condition, host, warnings) else { return };
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
        let dimensions = self.dimensions(index, change, host, warnings);
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
        &mut self,
        index: usize,
        change: &'c Override,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Vec<(&'c str, Option<usize>)> {
        let mut compiled = Vec::new();
        for (label, text) in &change.dimensions {
            let path = format!("metrics[{index}].dimensions.{label}");
            let program = self.text(&path, text, host, warnings);
            if let Err(problems) = &program {
                let what = format!("label \"{label}\" is left out");
                warnings.extend(left_out(&path, problems.clone(), &what));
            }
            compiled.push((label.as_str(), program.ok()));
        }
        compiled
    }

    /// The condition of an entry, `None` when it always applies.
    ///
    /// # Errors
    /// It does not compile, which has been told: the entry does not apply.
    fn condition(
        &mut self,
        index: usize,
        text: &str,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Option<usize>, ()> {
        if text.is_empty() {
            return Ok(None);
        }
        let path = format!("metrics[{index}].match");
        let bound = self.scope.condition(text).and_then(|(expr, doubts)| {
            warnings.extend(doubts.into_iter().map(|doubt| Diagnostic::warning(&path, doubt)));
            Bound::condition(expr, host)
        });
        match bound {
            Ok(bound) => {
                self.conditions.push(bound);
                Ok(self.conditions.len().checked_sub(1))
            }
            Err(problems) => {
                warnings.extend(left_out(&path, problems, "the entry has no effect"));
                Err(())
            }
        }
    }
}

fn standard_layouts(config: &Config) -> Vec<Layout> {
    let layout = |metric: &standard::Standard| {
        let plan = MetricPlan {
            name: stat_name(config, metric.name),
            kind: metric.kind,
            measure: metric.measure,
            unless: Vec::new(),
        };
        Layout::new(metric.name, metric.occasion, plan)
    };
    standard::ALL.iter().map(layout).collect()
}

fn stat_name(config: &Config, name: &str) -> String {
    format!("{}_{name}", config.stat_names.prefix)
}

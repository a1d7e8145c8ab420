//! Config -> Plan: the only place that joins attributes, expressions, labels and metrics.

use super::layout::{Layout, group};
use super::needs::{Compiled, Needs};
use super::prewarm::{attribute_values, reads_attribute};
use super::reads::{Reads, pod_label};
use super::{AttributePlan, ExchangePlan, Gate, MetricPlan, Plan, PrewarmPlan, Source, left_out};
use crate::attribute::Fact;
use crate::config::{Config, Override, Phase, ReporterMode, When};
use crate::diag::Diagnostic;
use crate::expr::{Bound, Findings, PeersRead, Scope, Side};
use crate::mesh::LocalNode;
use crate::metric::Reporter;
use crate::metric::name::{self, Encoder};
use crate::metric::standard::{self, Measure, Occasion};
use crate::peer::LabelNames;
use crate::port::{Content, Host};

/// Compiles a configuration. What does not compile is left out and told in `warnings`, as Istio does.
pub fn compile(config: &Config, host: &mut impl Host, warnings: &mut Vec<Diagnostic>) -> Plan {
    let local = LocalNode::read(host);
    let attribute_names = attribute_names(config, host);
    let exchange = config.exchange.is_some();
    let mut early = Scope::new(&attribute_names, exchange);
    let mut late = Scope::new(&attribute_names, exchange);
    let attributes = attributes(config, &mut early, &mut late, host, warnings);
    let mut expressions =
        Expressions { scope: late, seen: Vec::new(), programs: Vec::new(), conditions: Vec::new() };
    let layouts = layouts(config, &mut expressions, host, warnings);
    let Expressions { scope: late, programs, conditions, seen, .. } = expressions;
    let peer_labels = peer_labels(config, [&early, &late]);
    let early_reads = Reads::new(&early.slots, &peer_labels);
    let reads = Reads::new(&late.slots, &peer_labels);
    let groups = group(layouts);
    let prewarm = config.prewarm.as_ref().map(|prewarm| {
        let known = |index| {
            let (text, _) = seen.iter().find(|(_, compiled)| *compiled == Ok(index))?;
            reads_attribute(text, &attribute_names)
        };
        let values = attribute_values(config, &attribute_names);
        PrewarmPlan::new(prewarm, values, &groups, &known)
    });
    // Without metrics of its own, it exchanges for an access logger that counts.
    let for_others = exchange && groups.is_empty();
    let for_others = PeersRead { downstream: for_others, upstream: for_others };
    let published_peers =
        published_peers(&attributes, &[&programs, &conditions], for_others, exchange, host);
    let compiled = Compiled {
        groups: &groups,
        expressions: &programs,
        conditions: &conditions,
        reads: &reads,
    };
    let waypoint = config.reporter == ReporterMode::ServerGateway;
    let reporters: &[Reporter] =
        if waypoint { &[Reporter::Waypoint] } else { &[Reporter::Destination, Reporter::Source] };
    let of_request = |reporters: &[Reporter]| {
        let occasions = [Occasion::Request, Occasion::Messages, Occasion::End];
        let mut needs = compiled.needs(&occasions, reporters);
        of_attributes(&attributes, Phase::AfterResponse, &reads, &mut needs);
        needs
    };
    let request = of_request(reporters);
    let request_facts = reporters.iter().map(|r| of_request(&[*r]).facts).collect();
    let mut at_once = Needs::default();
    of_attributes(&attributes, Phase::OnRequest, &early_reads, &mut at_once);
    let of_connection =
        |occasions: &[Occasion]| compiled.needs(occasions, reporters).of_connection(&reads);
    let connection = of_connection(&[Occasion::Connection, Occasion::End]);
    let messages = compiled.needs(&[Occasion::Messages], reporters);
    let transfers = of_connection(&[Occasion::Connection]);
    let late_attributes = attributes.iter().filter(|a| a.phase == Phase::AfterResponse);
    Plan {
        waypoint,
        no_host_fallback: config.disable_host_header_fallback,
        early: at_once,
        request,
        request_facts,
        connection,
        messages,
        transfers,
        late_names: late_attributes.map(|attribute| attribute.name).collect(),
        early_reads,
        reads,
        conditions,
        published_peers,
        exchange: config
            .exchange
            .as_ref()
            .map(|exchange| ExchangePlan::new(exchange, waypoint, host)),
        peer_labels,
        reporting_interval: config.reporting_interval,
        prefix: config.stat_names.prefix.clone(),
        configuration: 0,
        received_path: attributes.iter().any(AttributePlan::keeps_path),
        attributes,
        expressions: programs,
        groups,
        encoder: Encoder::new(
            &config.stat_names,
            local.istio_bootstrap,
            config.limits.max_label_bytes,
        ),
        limits: config.limits.clone(),
        prewarm,
        build_infos: build_infos(config, &local),
        local,
        attribute_names,
    }
}

/// Versions of what runs here: of the proxy, where its metrics are the module's, and of the module.
fn build_infos(config: &Config, local: &LocalNode) -> Vec<String> {
    let prefix = &config.stat_names.prefix;
    let module = env!("CARGO_PKG_VERSION").as_bytes();
    let mut infos = vec![name::build_info("opmeter", "opmeter", module)];
    if config.standard_metrics {
        infos.push(name::build_info(prefix, "proxy", &local.istio_version));
    }
    infos
}

/// Names of the derived attributes, each once, declared.
fn attribute_names(config: &Config, host: &mut impl Host) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for attribute in &config.attributes {
        if !names.contains(&attribute.name) {
            // Without its type the attribute is bytes to other expressions, still of the same content.
            let _ = host.declare(&attribute.name, Content::Text);
            names.push(attribute.name.clone());
        }
    }
    names
}

fn attributes<'n>(
    config: &Config,
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
        let mut known = scope.derived.iter();
        let name = known.position(|name| *name == attribute.name).unwrap_or_default();
        let at = format!("attributes[{i}]");
        plans.extend(AttributePlan::compile(&at, name, attribute, scope, host, warnings));
    }
    plans
}

/// The peers that expressions of the host read, and those that others do, declared.
fn published_peers(
    attributes: &[AttributePlan],
    programs: &[&[Bound]],
    for_others: PeersRead,
    exchange: bool,
    host: &mut impl Host,
) -> PeersRead {
    let programs = programs.iter().copied().flatten().map(Bound::publishes);
    let all = attributes.iter().map(AttributePlan::publishes).chain(programs);
    let read = all.fold(for_others, PeersRead::or);
    for side in Side::ALL.into_iter().filter(|side| exchange || read.reads(*side)) {
        let _ = host.declare(side.key(), Content::Struct);
    }
    read
}

/// What attributes of a phase are found by.
fn of_attributes(attributes: &[AttributePlan], phase: Phase, reads: &Reads, needs: &mut Needs) {
    for attribute in attributes.iter().filter(|attribute| attribute.phase == phase) {
        if attribute.needs_path() {
            needs.facts.extend([Fact::Method, Fact::Path]);
        }
        attribute.needs(reads, needs);
    }
}

/// Pod labels of peers to keep: those that are exchanged, and those that expressions read (older sidecars send all).
fn peer_labels(config: &Config, scopes: [&Scope<'_>; 2]) -> LabelNames {
    let mut names: Vec<&str> = Vec::new();
    if let Some(exchange) = &config.exchange {
        names.extend(exchange.additional_labels.iter().map(String::as_str));
    }
    for scope in scopes {
        names.extend(scope.slots.reads().iter().filter_map(pod_label));
    }
    LabelNames::new(names)
}

/// The expressions of a plan, each text compiled once.
struct Expressions<'n> {
    scope: Scope<'n>,
    seen: Vec<(String, Result<usize, Findings>)>,
    programs: Vec<Bound>,
    conditions: Vec<Bound>,
}

impl Expressions<'_> {
    /// `at` is where it stands, `what` becomes of the configuration without it.
    fn compile(
        &mut self,
        at: &str,
        text: &str,
        what: &str,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<usize> {
        let known = self.seen.iter().find(|(seen, _)| seen == text);
        let compiled = match known {
            Some((_, known)) => known.clone(),
            None => {
                let compiled = self.scope.text(text, host).map(|(program, doubts)| {
                    left_out(at, doubts, "", warnings);
                    self.programs.push(program);
                    self.programs.len().saturating_sub(1)
                });
                self.seen.push((text.to_owned(), compiled.clone()));
                compiled
            }
        };
        compiled.map_err(|problems| left_out(at, problems, what, warnings)).ok()
    }

    /// The streams that an override is for, `None` when these are all.
    fn gate(
        &mut self,
        at: &str,
        when: &When,
        host: &mut impl Host,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Option<Gate>, Findings> {
        let text = match when {
            When::Always => return Ok(None),
            When::Client => return Ok(Some(Gate::Client)),
            When::Server => return Ok(Some(Gate::Server)),
            When::Holds(text) => text,
        };
        let expr = self.scope.condition(text)?;
        let (bound, doubts) = self.scope.bind_condition(expr, host)?;
        left_out(at, doubts, "", warnings);
        self.conditions.push(bound);
        Ok(self.conditions.len().checked_sub(1).map(Gate::Condition))
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
        let name = &definition.name;
        let path = format!("definitions[{i}].value");
        let what = format!("metric \"{name}\" is left out");
        let problems = expressions.scope.no_amount(&definition.value);
        if !problems.is_empty() {
            left_out(&path, problems, &what, warnings);
            continue;
        }
        let value = expressions.compile(&path, &definition.value, &what, host, warnings);
        layouts.extend(value.map(|value| {
            let plan = MetricPlan {
                name: stat_name(config, name),
                kind: definition.kind,
                measure: Measure::Expression(value),
                unless: Vec::new(),
            };
            Layout::new(name, Occasion::End, plan)
        }));
    }
    for change in &config.metrics {
        apply(change, &mut layouts, expressions, host, warnings);
    }
    layouts
}

fn standard_layouts(config: &Config) -> Vec<Layout> {
    let mut layouts = Vec::new();
    for (number, metric) in standard::ALL.iter().enumerate() {
        let unless = match config.disabled.of(number) {
            None => Vec::new(),
            Some(When::Client) => vec![Gate::Client],
            Some(When::Server) => vec![Gate::Server],
            Some(_) => continue,
        };
        let plan = MetricPlan {
            name: stat_name(config, metric.name),
            kind: metric.kind,
            measure: metric.measure,
            unless,
        };
        layouts.push(Layout::new(metric.name, metric.occasion, plan));
    }
    layouts
}

fn stat_name(config: &Config, name: &str) -> String {
    format!("{}_{name}", config.stat_names.prefix)
}

/// Within one entry: `drop`, then `tags_to_remove`, then `dimensions` by name.
fn apply(
    change: &Override,
    layouts: &mut Vec<Layout>,
    expressions: &mut Expressions<'_>,
    host: &mut impl Host,
    warnings: &mut Vec<Diagnostic>,
) {
    let path = format!("{}.match", change.path);
    let when = match expressions.gate(&path, &change.when, host, warnings) {
        Ok(when) => when,
        Err(problems) => return left_out(&path, problems, "the entry has no effect", warnings),
    };
    let concerned = |layout: &Layout| change.target.concerns(&layout.name);
    if change.drop {
        match when {
            None => layouts.retain(|layout| !concerned(layout)),
            Some(when) => layouts
                .iter_mut()
                .filter(|layout| concerned(layout))
                .for_each(|layout| layout.metric.unless.push(when)),
        }
        return;
    }
    let mut dimensions = Vec::new();
    for dimension in &change.dimensions {
        let what = format!("label \"{}\" is left out", dimension.label);
        let (path, text) = (&dimension.path, &dimension.value);
        let compiled = expressions.compile(path, text, &what, host, warnings);
        dimensions.push((dimension.label.as_str(), compiled));
    }
    for layout in layouts.iter_mut().filter(|layout| concerned(layout)) {
        change.tags_to_remove.iter().for_each(|label| layout.remove(label, when));
        for (label, compiled) in &dimensions {
            match compiled {
                Some(program) => layout.set(label, Source::Expression(*program), when),
                None => layout.remove(label, when),
            }
        }
    }
}

//! Records one stream: derived attributes, facts, label sets, metrics. The hot path.

use crate::attribute::gather::{NO_RANGES, Ranges};
use crate::attribute::{Fact, Facts};
use crate::config::Phase;
use crate::expr::{Derived, NoValue};
use crate::mesh::{Destination, Peer, UNKNOWN};
use crate::metric::series::SeriesTable;
use crate::metric::standard::Measure;
use crate::metric::{Labels, Reporter, Value};
use crate::plan::{Group, MetricPlan, Plan, Source};
use crate::port::{Failed, Host, MetricId, MetricKind, Sink};
use std::ops::Range;

/// Records streams by one plan, for one worker.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    /// One table per group of the plan.
    series: Vec<SeriesTable>,
    scratch: Scratch,
    health: Health,
}

/// What has to be kept of a stream between its request and its log.
#[derive(Debug, Default)]
pub struct Stream {
    /// Outcome of the `ON_REQUEST` attributes; empty when there are none.
    attributes: Vec<Outcome>,
    recorded: bool,
}

/// Which entry of which attribute gave a name its value; `None` while it is not set.
type Outcome = Option<(usize, usize)>;

/// Buffers used again for every stream.
#[derive(Debug)]
struct Scratch {
    /// Fetched facts, then values of expressions.
    buffer: Vec<u8>,
    facts: Ranges,
    /// Values of the plan's expressions; `None` when one could not be evaluated.
    values: Vec<Option<Range<usize>>>,
    attributes: Vec<Outcome>,
}

/// Counters about the module itself.
#[derive(Debug)]
struct Health {
    evaluation_errors: Option<MetricId>,
    host_errors: Option<MetricId>,
}

/// Derived attributes of the stream in hand.
struct Attributes<'a> {
    plan: &'a Plan,
    outcomes: &'a [Outcome],
}

/// Counts expressions that could not be evaluated for a stream.
const EVALUATION_ERRORS: &str = "opmeter_evaluation_errors_total";
/// Counts calls by which the proxy refused a metric or an attribute.
const HOST_ERRORS: &str = "opmeter_host_errors_total";
/// Counts problems of configurations, see [`count_config_errors`].
const CONFIG_ERRORS: &str = "opmeter_config_errors_total";

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Adds to `opmeter_config_errors_total`; once per worker, as each reads the configuration for itself.
pub fn count_config_errors(problems: usize, sink: &mut impl Sink) {
    if let Ok(metric) = sink.define(MetricKind::Counter, CONFIG_ERRORS) {
        let _ = count(metric, u64::try_from(problems).unwrap_or(u64::MAX), sink);
    }
}

// === impl Recorder ===

impl Recorder {
    /// Starts recording; defines the metrics that do not depend on streams.
    pub fn new(plan: Plan, sink: &mut impl Sink) -> Self {
        if let Some(name) = &plan.build_info
            && let Ok(metric) = sink.define(MetricKind::Gauge, name)
        {
            let _ = sink.record(metric, 1);
        }
        Self {
            series: plan.groups.iter().map(|_| SeriesTable::default()).collect(),
            scratch: Scratch::new(),
            health: Health {
                evaluation_errors: sink.define(MetricKind::Counter, EVALUATION_ERRORS).ok(),
                host_errors: sink.define(MetricKind::Counter, HOST_ERRORS).ok(),
            },
            plan,
        }
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The request headers have arrived.
    pub fn on_request(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        if !self.plan.needs_request_phase() {
            return;
        }
        self.scratch.begin(&self.plan, stream);
        let errors = self.derive(Phase::OnRequest, host);
        stream.attributes.clone_from(&self.scratch.attributes);
        self.health.tell(errors, sink);
    }

    /// The stream is over, however it ended. Records it once; a second call has no effect.
    pub fn on_log(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        if std::mem::replace(&mut stream.recorded, true) {
            return;
        }
        self.scratch.begin(&self.plan, stream);
        let mut errors = self.derive(Phase::AfterResponse, host);
        if !self.plan.groups.is_empty() {
            errors.merge(self.fetch(host));
            errors.merge(self.record(sink));
        }
        self.health.tell(errors, sink);
    }

    /// Evaluates the attributes of one phase; an error abandons that attribute only.
    fn derive(&mut self, phase: Phase, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        let plan = &self.plan;
        for (index, attribute) in plan.attributes.iter().enumerate() {
            if attribute.phase != phase {
                continue;
            }
            for (entry, (condition, value)) in attribute.entries.iter().enumerate() {
                let holds = match condition {
                    None => Ok(true),
                    Some(condition) => condition.holds(host, &mut self.scratch.buffer),
                };
                match holds {
                    Ok(false) => continue,
                    Ok(true) => {
                        if let Some(slot) = self.scratch.attributes.get_mut(attribute.name) {
                            *slot = Some((index, entry));
                        }
                        let name = plan.attribute_names.get(attribute.name);
                        let published = name.map(|name| host.publish(name, value));
                        errors.host_call(published.unwrap_or(Ok(())));
                    }
                    Err(_) => errors.evaluation(),
                }
                break;
            }
        }
        errors
    }

    /// Fetches the facts and evaluates the expressions of dimensions and definitions.
    fn fetch(&mut self, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        let Scratch { buffer, facts, values, attributes } = &mut self.scratch;
        errors.evaluations(self.plan.query.fetch(host, buffer, facts));
        let derived = Attributes { plan: &self.plan, outcomes: attributes };
        for program in &self.plan.expressions {
            let start = buffer.len();
            let written = program.write(&derived, host, buffer);
            if written == Err(NoValue::Failed) {
                errors.evaluation();
            }
            values.push(written.ok().map(|()| start..buffer.len()));
        }
        errors
    }

    fn record(&mut self, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let facts = Facts::new(&self.scratch.buffer, &self.scratch.facts);
        let labels = Labels {
            reporter: reporter(&self.plan, &facts),
            local: &self.plan.local,
            downstream: Peer::default(),
            upstream: Peer::default(),
            destination: Destination::resolve(&facts, self.plan.no_host_fallback),
            facts: &facts,
        };
        let view = View { labels, scratch: &self.scratch };
        for (group, table) in self.plan.groups.iter().zip(&mut self.series) {
            let values = group.labels.iter().map(|(_, source)| view.value(*source));
            let ids = table.ids(values, group.metrics.len());
            for (metric, id) in group.metrics.iter().zip(ids.iter_mut()) {
                let Some(amount) = view.amount(metric.measure) else { continue };
                if id.is_none() {
                    *id = errors.host_call(define(&self.plan, group, metric, &view, sink));
                }
                if let Some(id) = *id {
                    errors.host_call(add(metric.kind, id, amount, sink));
                }
            }
        }
        errors
    }
}

fn reporter(plan: &Plan, facts: &Facts<'_>) -> Reporter {
    if plan.waypoint {
        Reporter::Waypoint
    } else {
        Reporter::of_direction(facts.int(Fact::ListenerDirection))
    }
}

/// Defines a series: the only time its name is built.
fn define(
    plan: &Plan,
    group: &Group,
    metric: &MetricPlan,
    view: &View<'_>,
    sink: &mut impl Sink,
) -> Result<MetricId, Failed> {
    let mut name = String::new();
    for (label, source) in &group.labels {
        plan.encoder.label(label, view.value(*source), &mut name);
    }
    name.push_str(&metric.name);
    sink.define(metric.kind, &name)
}

/// A value beyond the ABI's signed counter is counted as the largest one. Envoy refuses to add 0; being defined, the
/// series is there all the same.
fn count(counter: MetricId, amount: u64, sink: &mut impl Sink) -> Result<(), Failed> {
    match amount {
        0 => Ok(()),
        amount => sink.increment(counter, i64::try_from(amount).unwrap_or(i64::MAX)),
    }
}

fn add(kind: MetricKind, id: MetricId, amount: u64, sink: &mut impl Sink) -> Result<(), Failed> {
    match kind {
        MetricKind::Counter => count(id, amount, sink),
        MetricKind::Gauge | MetricKind::Histogram => sink.record(id, amount),
    }
}

/// One stream as labels and measures see it.
struct View<'a> {
    labels: Labels<'a>,
    scratch: &'a Scratch,
}

// === impl View ===

impl<'a> View<'a> {
    fn value(&self, source: Source) -> Value<'a> {
        match source {
            Source::Standard(label) => self.labels.value(label),
            Source::Expression(index) => match self.scratch.value(index) {
                None | Some(b"") => Value::Text(UNKNOWN),
                Some(value) => Value::Text(value),
            },
        }
    }

    /// How much to record; `None` to record nothing.
    fn amount(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::One => Some(1),
            Measure::Milliseconds => {
                let nanoseconds = self.labels.facts.int(Fact::Duration)?;
                Some(u64::try_from(nanoseconds).unwrap_or(0) / NANOSECONDS_PER_MILLISECOND)
            }
            Measure::Bytes(fact) => {
                let bytes = self.labels.facts.int(fact).unwrap_or_default();
                Some(u64::try_from(bytes).unwrap_or_default())
            }
            Measure::Expression(index) => {
                let text = self.scratch.value(index).and_then(|v| std::str::from_utf8(v).ok());
                Some(text.and_then(|text| text.parse().ok()).unwrap_or_default())
            }
        }
    }
}

// === impl Scratch ===

impl Scratch {
    fn new() -> Self {
        Self { buffer: Vec::new(), facts: NO_RANGES, values: Vec::new(), attributes: Vec::new() }
    }

    /// Makes the buffers ready for a stream.
    fn begin(&mut self, plan: &Plan, stream: &Stream) {
        self.buffer.clear();
        self.values.clear();
        self.attributes.clone_from(&stream.attributes);
        self.attributes.resize(plan.attribute_names.len(), None);
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.buffer.get(self.values.get(index)?.clone()?)
    }
}

// === impl Attributes ===

impl Derived for Attributes<'_> {
    fn value(&self, name: usize) -> Option<&[u8]> {
        let (attribute, entry) = (*self.outcomes.get(name)?)?;
        let (_, value) = self.plan.attributes.get(attribute)?.entries.get(entry)?;
        Some(value)
    }
}

/// What went wrong for one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    evaluation: u32,
    host: u32,
}

// === impl Errors ===

impl Errors {
    fn evaluation(&mut self) {
        self.evaluations(1);
    }

    fn evaluations(&mut self, count: u32) {
        self.evaluation = self.evaluation.saturating_add(count);
    }

    fn host_call<T>(&mut self, result: Result<T, Failed>) -> Option<T> {
        if result.is_err() {
            self.host = self.host.saturating_add(1);
        }
        result.ok()
    }

    fn merge(&mut self, other: Self) {
        self.evaluations(other.evaluation);
        self.host = self.host.saturating_add(other.host);
    }
}

// === impl Health ===

impl Health {
    fn tell(&self, errors: Errors, sink: &mut impl Sink) {
        let counters =
            [(self.evaluation_errors, errors.evaluation), (self.host_errors, errors.host)];
        for (counter, errors) in counters {
            if let Some(counter) = counter {
                let _ = count(counter, u64::from(errors), sink);
            }
        }
    }
}

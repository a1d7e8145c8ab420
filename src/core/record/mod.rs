//! Records streams: derived attributes, facts, label sets, metrics. The hot path.

mod exchange;
mod health;
mod scratch;
mod stream;
mod view;

pub use health::count_config_errors;
pub use stream::Stream;

use crate::attribute::{Fact, Facts, Query};
use crate::config::Phase;
use crate::expr::NoValue;
use crate::metric::series::{MetricIds, SeriesTable};
use crate::metric::standard::{Measure, Occasion};
use crate::peer::cache::PeerCache;
use crate::plan::{ExchangePlan, Group, MetricPlan, Plan};
use crate::port::{Failed, Host, MetricId, MetricKind, Sink};
use exchange::Exchange;
use health::{Errors, Health, count};
use scratch::Scratch;
use stream::{Exchanged, Growth, Kind, Quantities};
use view::{Known, View, quantities};

/// Records streams by one plan, for one worker.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    queries: Queries,
    exchange: Option<Exchange>,
    /// One table per group of the plan.
    series: Vec<SeriesTable>,
    scratch: Scratch,
    health: Health,
}

/// Facts that are fetched together.
#[derive(Debug)]
struct Queries {
    /// All about a request.
    request: Query,
    /// All about a connection.
    connection: Query,
    /// What has grown of a gRPC request.
    messages: Query,
    /// What has grown of a connection.
    bytes: Query,
}

/// In which callback facts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// One of the stream's.
    Stream,
    /// The timer's, which is the plugin's.
    Timer,
}

// === impl Recorder ===

impl Recorder {
    /// Starts recording; defines the metrics that do not depend on streams.
    pub fn new(plan: Plan, host: &mut impl Host, sink: &mut impl Sink) -> Self {
        if let Some(name) = &plan.build_info
            && let Ok(metric) = sink.define(MetricKind::Gauge, name)
        {
            let _ = sink.record(metric, 1);
        }
        let exchange = plan.exchange.as_ref().map(|exchange| {
            let peers = PeerCache::new(exchange.max_peers, plan.peer_labels.clone());
            Exchange::new(ExchangePlan::query(host), peers)
        });
        Self {
            queries: Queries::compile(&plan, host),
            exchange,
            series: plan.groups.iter().map(|_| SeriesTable::default()).collect(),
            scratch: Scratch::new(),
            health: Health::new(sink),
            plan,
        }
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The request headers have arrived.
    pub fn on_request(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let mut errors = Errors::default();
        if let (Some(exchange), Some(plan)) = (&mut self.exchange, &self.plan.exchange) {
            stream.exchange = Some(exchange.on_request(plan, host, &mut errors));
        }
        if self.plan.derives_on_request() {
            self.scratch.begin(&self.plan, stream);
            errors.merge(self.derive(Phase::OnRequest, host));
            stream.attributes.clone_from(&self.scratch.attributes);
        }
        self.health.tell(errors, sink);
    }

    /// The response headers have arrived.
    pub fn on_response(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let exchange = (&mut self.exchange, &self.plan.exchange, &mut stream.exchange);
        if let (Some(exchange), Some(plan), Some(exchanged)) = exchange {
            let mut errors = Errors::default();
            exchange.on_response(exchanged, plan, host, &mut errors);
            self.health.tell(errors, sink);
        }
    }

    /// Time has passed: reports what has grown of a stream that lasts.
    ///
    /// The labels of a stream are those of its first report. While one of them can be told only when the stream ends (the
    /// peer or the service is not known yet, a dimension is an expression of the host), it waits for its end.
    pub fn on_tick(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let occasion = stream.kind.occasion();
        if stream.recorded || !self.plan.records(occasion) {
            return;
        }
        let Some(now) = self.measure(stream.kind, host) else { return };
        let mut errors = Errors::default();
        if stream.growth.is_none() && self.plan.labels_without_host(occasion) {
            let settled = stream.exchange.as_ref().is_none_or(Exchanged::is_settled);
            self.scratch.begin(&self.plan, stream);
            errors.merge(self.fetch(stream, Asking::Timer, host));
            if settled && self.knows_labels(stream) {
                errors.merge(self.open(stream, sink));
            }
        }
        errors.merge(self.grow(stream, now, sink));
        self.health.tell(errors, sink);
    }

    /// The stream is over, however it ended. Records it once; a second call has no effect.
    pub fn on_log(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        if std::mem::replace(&mut stream.recorded, true) {
            return;
        }
        self.scratch.begin(&self.plan, stream);
        let mut errors = Errors::default();
        if stream.kind == Kind::Request {
            errors.merge(self.derive(Phase::AfterResponse, host));
        }
        errors.merge(self.fetch(stream, Asking::Stream, host));
        errors.merge(self.record(stream, sink));
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let lasting = self.plan.records(stream.kind.occasion());
        if let Some(now) = quantities(stream.kind, true, &facts).filter(|_| lasting) {
            if stream.growth.is_none() {
                errors.merge(self.open(stream, sink));
            }
            errors.merge(self.grow(stream, now, sink));
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
    fn fetch(&mut self, stream: &Stream, asking: Asking, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        let Scratch { facts: fetched, ranges, buffer, values, attributes } = &mut self.scratch;
        let query = match stream.kind {
            Kind::Request => &mut self.queries.request,
            Kind::Connection => &mut self.queries.connection,
        };
        match asking {
            Asking::Stream => query.fetch(host, fetched, ranges),
            Asking::Timer => query.fetch_attributes(host, fetched, ranges),
        }
        let facts = Facts::new(fetched, ranges);
        let known = Known {
            plan: &self.plan,
            outcomes: attributes,
            downstream: view::downstream(stream, &facts),
            upstream: view::upstream(stream, &facts),
        };
        for program in &self.plan.expressions {
            if asking == Asking::Timer && program.is_on_host() {
                values.push(None);
                continue;
            }
            let start = buffer.len();
            let written = program.write(&known, host, buffer);
            if written == Err(NoValue::Failed) {
                errors.evaluation();
            }
            values.push(written.ok().map(|()| start..buffer.len()));
        }
        errors
    }

    /// Records what is recorded once, at the end.
    fn record(&mut self, stream: &Stream, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let view = View::new(&self.plan, stream, &self.scratch, &facts);
        for (group, table) in self.plan.groups.iter().zip(&mut self.series) {
            let due = group.occasion == Occasion::End
                || group.occasion == Occasion::Request && stream.kind == Kind::Request;
            if !due {
                continue;
            }
            let ids = ids(group, table, &view);
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

    /// What has grown by now, as the timer sees it, without asking for anything else.
    fn measure(&mut self, kind: Kind, host: &mut impl Host) -> Option<Quantities> {
        let query = match kind {
            Kind::Request => &self.queries.messages,
            Kind::Connection => &self.queries.bytes,
        };
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        facts.clear();
        query.fetch_attributes(host, facts, ranges);
        quantities(kind, false, &Facts::new(facts, ranges))
    }

    /// Whether all labels are known that will ever be: with an exchange that is over, an unknown peer stays unknown.
    fn knows_labels(&self, stream: &Stream) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let view = View::new(&self.plan, stream, &self.scratch, &facts);
        (stream.exchange.is_some() || view.knows_peer()) && view.knows_service(&self.plan)
    }

    /// Takes the labels of a stream that lasts, for all its reports.
    fn open(&mut self, stream: &mut Stream, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let mut opened = Vec::new();
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let view = View::new(&self.plan, stream, &self.scratch, &facts);
        for (group, table) in self.plan.groups.iter().zip(&mut self.series) {
            if group.occasion != stream.kind.occasion() {
                continue;
            }
            let ids = ids(group, table, &view);
            for (metric, id) in group.metrics.iter().zip(ids.iter_mut()) {
                if id.is_none() {
                    *id = errors.host_call(define(&self.plan, group, metric, &view, sink));
                }
            }
            opened.push(ids.clone());
        }
        stream.growth = Some(Box::new(Growth { ids: opened, reported: Quantities::default() }));
        errors
    }

    /// Reports what has grown since the last report; a stream whose labels are not taken yet reports nothing.
    fn grow(&self, stream: &mut Stream, now: Quantities, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let occasion = stream.kind.occasion();
        let Some(growth) = &mut stream.growth else { return errors };
        let groups = self.plan.groups.iter().filter(|group| group.occasion == occasion);
        for (group, ids) in groups.zip(&growth.ids) {
            for (metric, id) in group.metrics.iter().zip(ids) {
                if let (Measure::Growth(quantity), Some(id)) = (metric.measure, *id) {
                    let amount = now.of(quantity).saturating_sub(growth.reported.of(quantity));
                    errors.host_call(add(metric.kind, id, amount, sink));
                }
            }
        }
        growth.reported = now;
        errors
    }
}

// === impl Queries ===

impl Queries {
    fn compile(plan: &Plan, host: &mut impl Host) -> Self {
        Self {
            request: Query::compile(&plan.request_facts, host),
            connection: Query::compile(&plan.connection_facts, host),
            messages: Query::compile(&[Fact::GrpcMessages], host),
            bytes: Query::compile(&[Fact::RequestBytes, Fact::ResponseBytes], host),
        }
    }
}

// === impl Kind ===

impl Kind {
    /// The metrics that are reported while such a stream lasts.
    fn occasion(self) -> Occasion {
        match self {
            Kind::Request => Occasion::Messages,
            Kind::Connection => Occasion::Connection,
        }
    }
}

fn ids<'t>(group: &Group, table: &'t mut SeriesTable, view: &View<'_>) -> &'t mut MetricIds {
    let values = group.labels.iter().map(|(_, source)| view.value(*source));
    table.ids(values, group.metrics.len())
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

fn add(kind: MetricKind, id: MetricId, amount: u64, sink: &mut impl Sink) -> Result<(), Failed> {
    match kind {
        MetricKind::Counter => count(id, amount, sink),
        MetricKind::Gauge | MetricKind::Histogram => sink.record(id, amount),
    }
}

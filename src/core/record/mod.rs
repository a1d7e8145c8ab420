//! Records streams: derived attributes, facts, label sets, metrics. The hot path.

mod entry;
mod exchange;
mod health;
mod known;
mod scratch;
mod series;
mod stream;
mod view;

pub use health::count_config_errors;
pub use stream::Stream;

use crate::attribute::gather::{fetch_apart, fetch_read};
use crate::attribute::memory::{Memories, keys_of};
use crate::attribute::read::{Fetch, Known};
use crate::attribute::{Fact, Facts, Query};
use crate::config::Phase;
use crate::expr::{self, NoValue, Side, Slot};
use crate::limits::FORGET_INTERVAL;
use crate::metric::Reporter;
use crate::metric::series::MetricIds;
use crate::metric::standard::{Measure, Occasion};
use crate::peer::cache::PeerCache;
use crate::peer::filter_state;
use crate::plan::{ExchangePlan, Needs, Plan, Reads, Use, Values};
use crate::port::{Failed, Host, MetricId, MetricKind, Sink};
use entry::Entries;
use exchange::Exchange;
use health::{Errors, Health, count};
use known::{Known as KnownRequests, Metric};
use scratch::Scratch;
use series::{LabelSet, Series};
use stream::{Exchanged, Growth, Kind, Outcome, Quantities};
use view::{View, amount, quantities};

/// Records streams by one plan, for one worker.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    queries: Queries,
    memories: Memories,
    exchange: Option<Exchange>,
    /// `None` until the first entry of an access log.
    entries: Option<Entries>,
    series: Series,
    known: Option<KnownRequests>,
    scratch: Scratch,
    health: Health,
}

/// Facts that are fetched together.
#[derive(Debug)]
struct Queries {
    /// What attributes of the request phase are found by.
    early: Query,
    /// All about a request.
    request: Query,
    /// The same without what would tell a peer that the exchange has told.
    exchanged: Query,
    /// All about a connection.
    connection: Query,
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
            Exchange::new(ExchangePlan::query(plan.reports_host_early(), host), peers)
        });
        let (health, mut errors) = (Health::new(sink), Errors::default());
        let mut series = Series::new(&plan, sink, &mut errors);
        let mut scratch = Scratch::new();
        scratch.begin(&plan, &Stream::default());
        for (number, group) in plan.groups.iter().enumerate() {
            let known = plan.prewarm.as_ref().is_some_and(|prewarm| prewarm.is_complete(number));
            // Whether a gate is open only a stream can tell.
            if known && group.metrics.iter().all(|metric| metric.unless.is_empty()) {
                let facts = Facts::new(&scratch.facts, &scratch.ranges);
                let stream = Stream::default();
                let view = View::new(&plan, &stream, &scratch, &facts);
                let set = LabelSet { number, group, view: &view };
                series.prewarm(set, &plan, &health, sink, &mut errors);
            }
        }
        health.tell(errors, sink);
        let queries = Queries::compile(&plan, host);
        let memories = Memories::compile(&plan.all_facts(), host);
        let known = KnownRequests::new(&plan);
        Self { queries, memories, exchange, entries: None, series, known, scratch, health, plan }
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The request headers have arrived.
    pub fn on_request(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let mut errors = Errors::default();
        if let (Some(exchange), Some(plan)) = (&mut self.exchange, &self.plan.exchange) {
            let memories = &mut self.memories;
            stream.exchange = Some(exchange.on_request(plan, memories, host, &mut errors));
        }
        errors.merge(self.derive_as_received(stream, host));
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
    pub fn on_tick(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let occasion = stream.kind.occasion();
        if stream.recorded || !self.plan.reports_early(occasion) {
            return;
        }
        let Some(now) = self.measure(stream.kind, host) else { return };
        let mut errors = Errors::default();
        if stream.growth.is_none() {
            let settled = stream.exchange.as_ref().is_none_or(Exchanged::is_settled);
            self.scratch.begin(&self.plan, stream);
            self.fetch_early(stream, host);
            if settled
                && self.knows_service(stream)
                && self.knows_reads(stream)
                && (self.knows_peer(stream) || stream.exchange.is_some())
            {
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
        let mut errors = Errors::default();
        if stream.kind == Kind::Request && !stream.received {
            // A filter in front answered, so the headers never passed here: they still are as that filter saw them.
            errors.merge(self.derive_as_received(stream, host));
        }
        self.scratch.begin(&self.plan, stream);
        self.fetch(stream, host);
        errors.merge(self.publish_peers(stream, host));
        self.finish(stream, errors, host, sink);
    }

    /// Records a stream of which everything is fetched.
    fn finish(
        &mut self,
        stream: &mut Stream,
        mut errors: Errors,
        host: &mut impl Host,
        sink: &mut impl Sink,
    ) {
        if stream.kind == Kind::Request {
            errors.merge(self.derive(Phase::AfterResponse, stream, host));
        }
        errors.merge(self.evaluate(stream, host));
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

    /// Evaluates the attributes of the request phase and keeps what came out.
    fn derive_as_received(&mut self, stream: &mut Stream, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        stream.received = true;
        if self.plan.derives_on_request() {
            self.scratch.begin(&self.plan, stream);
            let Scratch { facts, ranges, .. } = &mut self.scratch;
            self.queries.early.fetch(host, facts, ranges);
            errors.merge(self.publish_peers(stream, host));
            errors.merge(self.derive(Phase::OnRequest, stream, host));
            stream.attributes.clone_from(&self.scratch.attributes);
        }
        errors
    }

    /// Shows expressions of the host who the peers are, if one reads them.
    fn publish_peers(&self, stream: &Stream, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        let Some(exchanged) = &stream.exchange else { return errors };
        let peers =
            [(Side::Downstream, &exchanged.downstream), (Side::Upstream, &exchanged.upstream)];
        for (side, peer) in peers {
            if let (true, Some(peer)) = (self.plan.published_peers.reads(side), peer) {
                let value = filter_state::encode(peer, &self.plan.peer_labels);
                errors.host_call(host.publish(side.key(), &value));
            }
        }
        errors
    }

    /// Evaluates the attributes of one phase; an error abandons that attribute only.
    fn derive(&mut self, phase: Phase, stream: &Stream, host: &mut impl Host) -> Errors {
        let mut errors = Errors::default();
        let plan = &self.plan;
        let reads = match phase {
            Phase::OnRequest => &plan.early_reads,
            Phase::AfterResponse => &plan.reads,
        };
        let Scratch { facts, ranges, buffer, attributes, silent, .. } = &mut self.scratch;
        let facts = Facts::new(facts, ranges);
        let (method, path) = (facts.bytes(Fact::Method), facts.bytes(Fact::Path));
        for (index, attribute) in plan.attributes.iter().enumerate() {
            if attribute.phase != phase {
                continue;
            }
            let values = values(plan, reads, stream, facts, attributes);
            match attribute.find(method, path, &values, host, buffer) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    if let Some(slot) = attributes.get_mut(attribute.name) {
                        *slot = Some((index, value));
                    }
                    let name = plan.attribute_names.get(attribute.name);
                    let name = name.filter(|_| !*silent);
                    let published = name.map(|name| host.publish(name, attribute.value(value)));
                    errors.host_call(published.unwrap_or(Ok(())));
                }
                Err(_) => errors.evaluation(),
            }
        }
        errors
    }

    /// Fetches all that is known of a stream.
    fn fetch(&mut self, stream: &Stream, host: &mut impl Host) {
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        let query = match stream.kind {
            Kind::Request if stream.knows_peer() => &mut self.queries.exchanged,
            Kind::Request => &mut self.queries.request,
            Kind::Connection => &mut self.queries.connection,
        };
        query.fetch(host, facts, ranges);
        if stream.kind == Kind::Request {
            self.recall(stream, host);
        }
    }

    /// Adds the facts that a request has in common with others.
    fn recall(&mut self, stream: &Stream, host: &mut impl Host) {
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        let known = view::upstream(stream, &Facts::new(facts, ranges)).is_known();
        self.memories.recall(known, host, facts, ranges);
    }

    /// Time has passed, a few seconds: what may have changed is asked for anew.
    pub fn forget(&mut self) {
        self.memories.forget();
        self.known.iter_mut().for_each(KnownRequests::forget);
    }

    /// Milliseconds after which the recorder wants to be told that time has passed; 0 for never.
    pub fn tick_period(&self) -> u32 {
        match self.plan.reporting_interval() {
            0 if self.memories.forgets() => FORGET_INTERVAL,
            interval => interval,
        }
    }

    /// Fetches what the labels of a stream that lasts are made of, from a timer.
    fn fetch_early(&mut self, stream: &Stream, host: &mut impl Host) {
        let Some(needs) = self.plan.lasting(stream.kind.occasion()) else { return };
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        fetch_apart(&needs.facts, host, facts, ranges);
        for slot in &needs.slots {
            if let Some(fetch) = self.plan.reads.fetch(*slot) {
                fetch_read(*slot, fetch, host, facts, ranges);
            }
        }
        let known = Facts::new(facts, ranges).bytes(Fact::Host);
        if let (Some(exchanged), true) = (&stream.exchange, known.is_empty()) {
            ranges.set_fact(
                Fact::Host,
                facts.len()..facts.len().saturating_add(exchanged.host.len()),
            );
            facts.extend_from_slice(&exchanged.host);
        }
        // Nothing of the host's is among what is reported from a timer.
        let scratch = &mut self.scratch;
        evaluate(&self.plan, needs, stream, scratch, host);
    }

    /// Evaluates the expressions of dimensions and definitions, and the conditions of entries.
    fn evaluate(&mut self, stream: &Stream, host: &mut impl Host) -> Errors {
        let needs = match stream.kind {
            Kind::Request => &self.plan.request,
            Kind::Connection => &self.plan.connection,
        };
        evaluate(&self.plan, needs, stream, &mut self.scratch, host)
    }

    /// Records what is recorded once, at the end.
    fn record(&mut self, stream: &Stream, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let Some(known) = self.known.as_mut().filter(|_| stream.kind == Kind::Request) else {
            self.record_new(stream, sink, &mut errors);
            return errors;
        };
        let (hash, metrics) = known.find(stream, &self.scratch);
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        for Metric { kind, id, measure } in metrics {
            if let Some(amount) = amount(*measure, &facts, &self.scratch) {
                errors.host_call(add(*kind, *id, amount, sink));
            }
        }
        if metrics.is_empty()
            && let Some(metrics) = self.record_new(stream, sink, &mut errors)
            && let Some(known) = &mut self.known
        {
            known.learn(hash, metrics);
        }
        errors
    }

    /// Records by labels; the metrics, if a request like this one has the same.
    fn record_new(
        &mut self,
        stream: &Stream,
        sink: &mut impl Sink,
        errors: &mut Errors,
    ) -> Option<Vec<Metric>> {
        let mut metrics = Some(Vec::new());
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let view = View::new(&self.plan, stream, &self.scratch, &facts);
        for (number, group) in self.plan.groups.iter().enumerate() {
            let due = group.occasion == Occasion::End
                || group.occasion == Occasion::Request && stream.kind == Kind::Request;
            if !due || !view.records_any(group) {
                continue;
            }
            let set = LabelSet { number, group, view: &view };
            let found = self.series.find(set, &self.health, sink, errors);
            if !found.is_some_and(|found| found.is_settled()) {
                metrics = None;
            }
            for (place, metric) in group.metrics.iter().enumerate() {
                if !view.records(metric) {
                    continue;
                }
                let (kind, measure) = (metric.kind, metric.measure);
                let amount = amount(measure, &facts, &self.scratch);
                let id = amount.and_then(|_| {
                    let id = self.series.id(set, found, place, &self.plan.encoder, sink);
                    errors.host_call(id).flatten()
                });
                let (Some(id), Some(amount)) = (id, amount) else {
                    metrics = None;
                    continue;
                };
                metrics.iter_mut().for_each(|all| all.push(Metric { kind, id, measure }));
                errors.host_call(add(kind, id, amount, sink));
            }
            if found.is_some_and(|found| found.new) {
                self.series.prewarm(set, &self.plan, &self.health, sink, errors);
            }
        }
        metrics
    }

    /// What has grown by now, without asking for anything else.
    fn measure(&mut self, kind: Kind, host: &mut impl Host) -> Option<Quantities> {
        let grown: &[Fact] = match kind {
            Kind::Request => &[Fact::GrpcMessages],
            Kind::Connection => &[Fact::RequestBytes, Fact::ResponseBytes],
        };
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        facts.clear();
        fetch_apart(grown, host, facts, ranges);
        quantities(kind, false, &Facts::new(facts, ranges))
    }

    fn knows_peer(&self, stream: &Stream) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        View::new(&self.plan, stream, &self.scratch, &facts).knows_peer()
    }

    /// Whether the service can be told now as it will be at the end: a host that nobody remembered is not known.
    fn knows_service(&self, stream: &Stream) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        stream.kind == Kind::Connection
            || !self.plan.reports_host_early()
            || !facts.bytes(Fact::Host).is_empty()
            || !facts.bytes(Fact::ClusterService).is_empty()
    }

    /// Whether all that expressions read is there, as far as it may come later.
    fn knows_reads(&self, stream: &Stream) -> bool {
        let plan = &self.plan;
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let values = values(plan, &plan.reads, stream, facts, &self.scratch.attributes);
        let occasion = stream.kind.occasion();
        let needs = plan.lasting(occasion);
        needs.into_iter().flat_map(|needs| &needs.reads).all(|slot| {
            plan.known(*slot, occasion) != Known::Later
                || expr::Facts::get(&values, *slot).is_some()
        })
    }

    /// Takes the labels of a stream that lasts, for all its reports.
    fn open(&mut self, stream: &mut Stream, sink: &mut impl Sink) -> Errors {
        let mut errors = Errors::default();
        let mut opened = Vec::new();
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let view = View::new(&self.plan, stream, &self.scratch, &facts);
        for (number, group) in self.plan.groups.iter().enumerate() {
            if group.occasion != stream.kind.occasion() {
                continue;
            }
            if !view.records_any(group) {
                opened.push(MetricIds::default());
                continue;
            }
            let set = LabelSet { number, group, view: &view };
            let found = self.series.find(set, &self.health, sink, &mut errors);
            let ids = group.metrics.iter().enumerate().map(|(place, metric)| {
                let found = found.filter(|_| view.records(metric));
                errors.host_call(self.series.id(set, found, place, &self.plan.encoder, sink))?
            });
            opened.push(ids.collect());
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
        // What the proxy once could not tell must not count again when it can.
        growth.reported = growth.reported.max(now);
        errors
    }
}

// === impl Queries ===

impl Queries {
    fn compile(plan: &Plan, host: &mut impl Host) -> Self {
        let of_all = |needs: &Needs| vec![needs.facts.clone()];
        let keys = keys_by_reporter(plan);
        let exchanged = match (keys.as_slice(), &plan.exchange) {
            ([inbound, others], Some(_)) => vec![
                without(inbound, &[Fact::DownstreamPeer]),
                without(others, &[Fact::UpstreamPeer, Fact::UpstreamAddress]),
            ],
            _ => keys.clone(),
        };
        Self {
            early: query(&of_all(&plan.early), &plan.early, &plan.early_reads, host),
            request: query(&keys, &plan.request, &plan.reads, host),
            exchanged: query(&exchanged, &plan.request, &plan.reads, host),
            connection: query(&of_all(&plan.connection), &plan.connection, &plan.reads, host),
        }
    }
}

fn without(facts: &[Fact], told: &[Fact]) -> Vec<Fact> {
    facts.iter().copied().filter(|fact| !told.contains(fact)).collect()
}

/// What is fetched of a request by each reporter, keys in the place of what is remembered.
fn keys_by_reporter(plan: &Plan) -> Vec<Vec<Fact>> {
    plan.request_facts.iter().map(|facts| keys_of(facts)).collect()
}

fn query(facts: &[Vec<Fact>], needs: &Needs, reads: &Reads, host: &mut impl Host) -> Query {
    let mut fetched: Vec<(Slot, &Fetch)> = Vec::new();
    for slot in &needs.slots {
        if let Some(fetch) = reads.fetch(*slot)
            && fetched.iter().all(|(known, _)| known != slot)
        {
            fetched.push((*slot, fetch));
        }
    }
    let facts: Vec<&[Fact]> = facts.iter().map(Vec::as_slice).collect();
    Query::with_reads(&facts, &fetched, host)
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

/// What expressions read.
fn values<'a>(
    plan: &'a Plan,
    reads: &'a Reads,
    stream: &'a Stream,
    facts: Facts<'a>,
    outcomes: &'a [Outcome],
) -> Values<'a> {
    Values {
        reads,
        facts,
        attributes: &plan.attributes,
        outcomes,
        downstream: view::downstream(stream, &facts),
        upstream: view::upstream(stream, &facts),
    }
}

/// Evaluates the expressions and conditions among `needs`; the others have no value.
fn evaluate(
    plan: &Plan,
    needs: &Needs,
    stream: &Stream,
    scratch: &mut Scratch,
    host: &mut impl Host,
) -> Errors {
    let mut errors = Errors::default();
    let Scratch { facts, ranges, buffer, values: found, conditions, attributes, .. } = scratch;
    let values = values(plan, &plan.reads, stream, Facts::new(facts, ranges), attributes);
    let client = view::reporter(plan, &values.facts) == Reporter::Source;
    for Use { index, client: of_client, server: of_server } in &needs.expressions {
        let Some(bound) = plan.expressions.get(*index) else { continue };
        if !(if client { *of_client } else { *of_server }) {
            continue;
        }
        let start = buffer.len();
        let written = bound.write(&values, host, buffer);
        if written == Err(NoValue::Failed) {
            errors.evaluation();
        }
        if let Some(place) = found.get_mut(*index) {
            *place = written.ok().map(|()| start..buffer.len());
        }
    }
    for index in &needs.conditions {
        let Some(bound) = plan.conditions.get(*index) else { continue };
        let holds = bound.holds(&values, host, buffer);
        if holds.is_err() {
            errors.evaluation();
        }
        if let Some(place) = conditions.get_mut(*index) {
            *place = holds.unwrap_or_default();
        }
    }
    errors
}

fn add(kind: MetricKind, id: MetricId, amount: u64, sink: &mut impl Sink) -> Result<(), Failed> {
    match kind {
        MetricKind::Counter => count(id, amount, sink),
        MetricKind::Gauge | MetricKind::Histogram => sink.record(id, amount),
    }
}

//! Records streams. The hot path, one module per step:
//!
//! ```text
//! headers  exchange -> derive
//! end      queries -> derive -> known, else view -> series -> count
//! timer    lasting
//! ```
//!
//! An access log has no callbacks before the end: `entry.rs`.

mod arrival;
mod claim;
mod count;
mod derive;
mod entry;
mod exchange;
mod health;
mod known;
mod lasting;
mod queries;
mod scratch;
mod series;
mod stream;
mod view;

pub use claim::Share;
pub use health::{Verdict, count_config_errors, count_configuration};
pub use stream::Stream;

use crate::attribute::memory::Memories;
use crate::attribute::{Fact, Facts};
use crate::config::Phase;
use crate::limits::FORGET_INTERVAL;
use crate::peer::cache::PeerCache;
use crate::plan::Plan;
use crate::port::{Host, MetricKind, Sink};
use entry::Entries;
use exchange::Exchange;
use health::{Errors, Health};
use known::KnownRequests;
use queries::Queries;
use scratch::Scratch;
use series::{LabelSet, Series};
use stream::{Exchanged, Kind};
use view::{View, quantities};

/// Records streams by one plan, for one worker.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    queries: Queries,
    memories: Memories,
    exchange: Option<Exchange>,
    /// `None` until the first entry of an access log.
    entries: Option<Box<Entries>>,
    series: Series,
    known: Option<KnownRequests>,
    scratch: Scratch,
    /// Buffers for the paths of requests to come.
    spare_paths: Vec<Vec<u8>>,
    /// Whether other mounts may record the same requests, and exchange metadata in them.
    contested_metrics: bool,
    contested_exchange: bool,
    health: Health,
}

// === impl Recorder ===

impl Recorder {
    /// Starts recording; defines the metrics that do not depend on streams.
    pub fn new(plan: Plan, host: &mut impl Host, sink: &mut impl Sink) -> Self {
        for name in &plan.build_infos {
            if let Ok(metric) = sink.define(MetricKind::Gauge, name) {
                let _ = sink.record(metric, 1);
            }
        }
        let exchange = plan.exchange.as_ref().map(|exchange| {
            let peers = PeerCache::new(exchange.max_peers, plan.peer_labels.clone());
            Exchange::new(plan.reports_host_early(), peers)
        });
        let (mut health, mut errors) = (Health::new(sink), Errors::default());
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
        Self {
            queries,
            memories,
            exchange,
            entries: None,
            series,
            known,
            scratch,
            spare_paths: Vec::new(),
            contested_metrics: false,
            contested_exchange: false,
            health,
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
        self.keep_as_received(stream, host, &mut errors);
        if let (true, Some(exchange), Some(plan)) =
            (self.claim_exchange(host), &mut self.exchange, &self.plan.exchange)
        {
            let (memories, grpc) = (&mut self.memories, stream.grpc.unwrap_or_default());
            stream.exchange = Some(exchange.on_request(plan, memories, grpc, host, &mut errors));
        }
        self.derive_as_received(stream, host, &mut errors);
        self.health.tell(errors, sink);
    }

    /// The response headers have arrived.
    pub fn on_response(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        arrival::keep_grpc_status(stream, host);
        let exchange = (&mut self.exchange, &self.plan.exchange, &mut stream.exchange);
        if let (Some(exchange), Some(plan), Some(exchanged)) = exchange {
            let mut errors = Errors::default();
            exchange.on_response(exchanged, plan, host, &mut errors);
            self.health.tell(errors, sink);
        }
    }

    /// The stream is over, however it ended. Records it once; a second call has no effect.
    pub fn on_log(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        if std::mem::replace(&mut stream.recorded, true) {
            return;
        }
        let mut errors = Errors::default();
        if stream.share != Share::All {
            errors.duplicate();
        }
        if stream.kind == Kind::Request && !stream.received {
            // A filter in front answered, so the headers never passed here: they still are as that filter saw them.
            if let (Some(exchange), Some(plan)) = (&mut self.exchange, &self.plan.exchange) {
                stream.exchange = Some(exchange.on_answered_before(plan, host, &mut errors));
            }
            self.derive_as_received(stream, host, &mut errors);
        }
        self.scratch.begin(&self.plan, stream);
        self.fetch(stream, host);
        self.publish_peers(stream, host, &mut errors);
        self.finish(stream, errors, host, sink);
        self.reuse_path(stream);
    }

    /// Whether a stream that is no more has to be recorded now: of a request over HTTP/3 Envoy writes the log after its
    /// filters are gone, and filters never hear of it.
    pub fn is_unlogged(&self, stream: &Stream, host: &mut impl Host) -> bool {
        !stream.recorded && !stream.is_connection() && arrival::is_http3(host)
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
            self.derive(Phase::AfterResponse, stream, host, &mut errors);
        }
        self.evaluate(stream, host, &mut errors);
        if stream.is_connection() && self.counts_connections() {
            self.claims_lasting(stream, host, &mut errors);
        }
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        let now = quantities(stream, true, &facts);
        if let (Some(now), true) = (now, self.plan.records(stream.kind.occasion())) {
            if self.claims_lasting(stream, host, &mut errors) && stream.growth.is_none() {
                self.open(stream, sink, &mut errors);
            }
            self.grow(stream, now, sink, &mut errors);
        }
        if stream.kind == Kind::Connection && stream.lasting == Some(Share::Nothing) {
            stream.share = Share::Nothing;
        }
        self.record(stream, sink, &mut errors);
        self.health.tell(errors, sink);
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
        if let (Kind::Request, Some(Exchanged { added, .. })) = (stream.kind, &stream.exchange) {
            self.scratch.subtract(Fact::RequestBytes, added.request);
            self.scratch.subtract(Fact::ResponseBytes, added.response);
        }
    }

    /// Adds the facts that a request has in common with others.
    fn recall(&mut self, stream: &Stream, host: &mut impl Host) {
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        let endpoint = self.memories.asks_endpoints()
            && !view::upstream(stream, &Facts::new(facts, ranges)).is_known();
        self.memories.recall(endpoint, host, facts, ranges);
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
}

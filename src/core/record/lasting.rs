//! Reports of streams that last, from a timer and at their end.

use super::Recorder;
use super::claim::Share;
use super::count::add;
use super::derive::{evaluate, values};
use super::health::{Call, Errors};
use super::scratch::Scratch;
use super::series::LabelSet;
use super::stream::{Exchanged, Growth, Kind, Quantities, Stream};
use super::view::{View, quantities};
use crate::attribute::apart::{fetch_apart, fetch_read};
use crate::attribute::read::Known;
use crate::attribute::{Fact, Facts};
use crate::expr;
use crate::metric::series::MetricIds;
use crate::metric::standard::{Measure, Occasion};
use crate::port::{Host, Sink};

impl Recorder {
    /// Time has passed: reports what has grown of a stream that lasts.
    pub fn on_tick(&mut self, stream: &mut Stream, host: &mut impl Host, sink: &mut impl Sink) {
        let occasion = stream.kind.occasion();
        let elsewhere = stream.lasting.is_some_and(|share| share != Share::All);
        if stream.recorded || elsewhere || !self.plan.reports_early(occasion) {
            return;
        }
        let Some(now) = self.measure(stream, host) else { return };
        let mut errors = Errors::default();
        stream.ticks = stream.ticks.saturating_add(1);
        if stream.growth.is_none() {
            let settled = stream.exchange.as_ref().is_none_or(Exchanged::is_settled);
            self.scratch.begin(&self.plan, stream);
            self.fetch_early(stream, host);
            if settled
                && self.knows_service(stream)
                && self.knows_reads(stream)
                && (self.knows_peer(stream)
                    || stream.exchange.is_some()
                    || self.stays_without_peer(stream, host))
                && self.claims_lasting(stream, host, &mut errors)
            {
                self.open(stream, sink, &mut errors);
            }
        }
        self.grow(stream, now, sink, &mut errors);
        self.health.tell(errors, sink);
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
        evaluate(&self.plan, needs, stream, scratch, host, &mut Errors::default());
    }

    /// What has grown by now, without asking for anything else.
    fn measure(&mut self, stream: &Stream, host: &mut impl Host) -> Option<Quantities> {
        let grown: &[Fact] = match stream.kind {
            Kind::Request => &[Fact::GrpcMessages],
            Kind::Connection => &[Fact::RequestBytes, Fact::ResponseBytes],
        };
        let Scratch { facts, ranges, .. } = &mut self.scratch;
        facts.clear();
        fetch_apart(grown, host, facts, ranges);
        quantities(stream, false, &Facts::new(facts, ranges))
    }

    fn knows_peer(&self, stream: &Stream) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        View::new(&self.plan, stream, &self.scratch, &facts).knows_peer()
    }

    /// Whether the peer of a connection is not going to be known: its certificate and its metadata come with the
    /// connection, so a whole interval after the upstream is connected there is nothing to wait for.
    fn stays_without_peer(&self, stream: &mut Stream, host: &mut impl Host) -> bool {
        if !stream.is_connection() {
            return false;
        }
        let connected = host.attribute(Fact::UpstreamAddress.path(), &mut Vec::new()).is_ok();
        if !connected {
            stream.ticks = 0;
        }
        stream.ticks > 1
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
    pub(super) fn open(&mut self, stream: &mut Stream, sink: &mut impl Sink, errors: &mut Errors) {
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
            let found = self.series.find(set, &self.health, sink, errors);
            let ids = group.metrics.iter().enumerate().map(|(place, metric)| {
                let found = found.filter(|_| view.records(metric));
                errors.host_call(
                    Call::DefineMetric,
                    self.series.id(set, found, place, &self.plan.encoder, sink),
                )?
            });
            opened.push(ids.collect());
        }
        stream.growth = Some(Box::new(Growth { ids: opened, reported: Quantities::default() }));
    }

    /// Reports what has grown since the last report; a stream whose labels are not taken yet reports nothing.
    pub(super) fn grow(
        &self,
        stream: &mut Stream,
        now: Quantities,
        sink: &mut impl Sink,
        errors: &mut Errors,
    ) {
        let occasion = stream.kind.occasion();
        let Some(growth) = &mut stream.growth else { return };
        let groups = self.plan.groups.iter().filter(|group| group.occasion == occasion);
        for (group, ids) in groups.zip(&growth.ids) {
            for (metric, id) in group.metrics.iter().zip(ids) {
                if let (Measure::Growth(quantity), Some(id)) = (metric.measure, *id) {
                    let amount = now.of(quantity).saturating_sub(growth.reported.of(quantity));
                    errors.host_call(Call::RecordMetric, add(metric.kind, id, amount, sink));
                }
            }
        }
        // What the proxy once could not tell must not count again when it can.
        growth.reported = growth.reported.max(now);
    }
}

// === impl Kind ===

impl Kind {
    /// The metrics that are reported while such a stream lasts.
    pub(super) fn occasion(self) -> Occasion {
        match self {
            Kind::Request => Occasion::Messages,
            Kind::Connection => Occasion::Connection,
        }
    }
}

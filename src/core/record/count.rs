//! Counts a stream at its end: a request like one before by its metrics, a new one by its labels.

use super::Recorder;
use super::claim::Share;
use super::health::{Call, Errors, count};
use super::known::Metric;
use super::series::LabelSet;
use super::stream::{Kind, Stream};
use super::view::{View, amount};
use crate::attribute::Facts;
use crate::metric::standard::Occasion;
use crate::port::{Failed, MetricId, MetricKind, Sink};

impl Recorder {
    /// Records what is recorded once, at the end.
    pub(super) fn record(&mut self, stream: &Stream, sink: &mut impl Sink, errors: &mut Errors) {
        if stream.share == Share::Nothing {
            return;
        }
        let Some(known) = self.known.as_mut().filter(|_| stream.kind == Kind::Request) else {
            self.record_new(stream, sink, errors);
            return;
        };
        let (hash, metrics) = known.find(stream, &self.scratch);
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        for Metric { kind, id, measure } in metrics {
            if let Some(amount) = amount(*measure, &facts, &self.scratch) {
                errors.host_call(Call::RecordMetric, add(*kind, *id, amount, sink));
            }
        }
        if metrics.is_empty()
            && let Some(metrics) = self.record_new(stream, sink, errors)
            && let Some(known) = &mut self.known
        {
            known.learn(hash, metrics);
        }
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
            let standard = stream.kind == Kind::Request && stream.share == Share::All;
            let due = match group.occasion {
                Occasion::End => true,
                Occasion::Request => standard,
                Occasion::Messages | Occasion::Connection => false,
            };
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
                    errors.host_call(Call::DefineMetric, id).flatten()
                });
                let (Some(id), Some(amount)) = (id, amount) else {
                    metrics = None;
                    continue;
                };
                metrics.iter_mut().for_each(|all| all.push(Metric { kind, id, measure }));
                errors.host_call(Call::RecordMetric, add(kind, id, amount, sink));
            }
            if found.is_some_and(|found| found.new) {
                self.series.prewarm(set, &self.plan, &self.health, sink, errors);
            }
        }
        metrics
    }
}

pub(super) fn add(
    kind: MetricKind,
    id: MetricId,
    amount: u64,
    sink: &mut impl Sink,
) -> Result<(), Failed> {
    match kind {
        MetricKind::Counter => count(id, amount, sink),
        MetricKind::Gauge | MetricKind::Histogram => sink.record(id, amount),
    }
}

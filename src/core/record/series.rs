//! From the label set of a stream to its series, within the budget.
//!
//! A set that was seen before costs one lookup. A new one asks the budget, and is folded step by step until there is room:
//! then it is as if the stream had had these labels, and every total stays exact.

use super::health::{Call, Errors, Health};
use super::view::View;
use crate::Hashing;
use crate::config::Limits;
use crate::mesh::UNKNOWN;
use crate::metric::budget::{Admission, Registry};
use crate::metric::cut;
use crate::metric::fold::{Fold, OVERFLOW, folds};
use crate::metric::name::Encoder;
use crate::metric::series::{Place, SeriesTable};
use crate::metric::{Label, Value};
use crate::plan::{Group, Plan};
use crate::port::{Failed, MetricId, MetricKind, Sink};
use std::hash::BuildHasher;

/// The series of all groups of a plan.
#[derive(Debug)]
pub(super) struct Series {
    tables: Vec<Table>,
    sets: Registry,
    /// By label, for those whose values are limited.
    values: Vec<(String, Registry)>,
    limits: Limits,
    /// Label sets in all tables.
    held: usize,
    /// Which labels of the set in hand have a value too many.
    over: Vec<bool>,
}

/// The series of a group.
#[derive(Debug)]
struct Table {
    series: SeriesTable,
    /// By label: the standard one it is made from, or `None` for a value of the configuration's own.
    labels: Vec<Option<Label>>,
    /// By label: which of [`Series::values`] limits it.
    limited: Vec<Option<usize>>,
}

/// The labels of a stream, as far as a group has them.
#[derive(Clone, Copy)]
pub(super) struct LabelSet<'a> {
    /// Which of the plan's groups.
    pub number: usize,
    pub group: &'a Group,
    pub view: &'a View<'a>,
}

/// A label set as it is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    place: Place,
    fold: Fold,
    /// Whether it was not seen before, and is as the stream has it.
    pub new: bool,
    /// Whether a label has a value too many.
    over: bool,
}

/// The labels of a stream as they are written.
#[derive(Clone, Copy)]
struct Folded<'a> {
    set: LabelSet<'a>,
    labels: &'a [Option<Label>],
    over: &'a [bool],
    /// What is told in place of the stream's own values.
    instead: &'a [Option<Value<'a>>],
    fold: Fold,
}

/// Names of shared data: series and their budget end with the last VM of one module, so each version has its own.
const SETS: &str = concat!("opmeter.", env!("CARGO_PKG_VERSION"), ".series");
const VALUES: &str = concat!("opmeter.", env!("CARGO_PKG_VERSION"), ".values.");

// === impl Series ===

impl Series {
    /// Empty tables, and what other workers have admitted.
    pub fn new(plan: &Plan, sink: &mut impl Sink, errors: &mut Errors) -> Self {
        let (sets, opened) = Registry::open(SETS.to_owned(), sink);
        errors.host_call(Call::SharedData, opened);
        let mut series = Self {
            tables: Vec::new(),
            sets,
            values: Vec::new(),
            limits: plan.limits.clone(),
            held: 0,
            over: Vec::new(),
        };
        for group in &plan.groups {
            let labels: Vec<_> = group.labels.iter().map(|(_, source)| source.label()).collect();
            let names = group.labels.iter().map(|(name, _)| name);
            let limited = names.zip(&labels).map(|(name, label)| {
                if label.is_some() || series.limits.max_values.is_none() {
                    return None;
                }
                Some(series.limit(name, sink, errors))
            });
            let limited = limited.collect();
            let table = SeriesTable::new(seed(group), series.limits.max_label_bytes);
            series.tables.push(Table { series: table, labels, limited });
        }
        series
    }

    /// The series of a stream's labels, folded if need be.
    pub fn find(
        &mut self,
        set: LabelSet<'_>,
        health: &Health,
        sink: &mut impl Sink,
        errors: &mut Errors,
    ) -> Option<Found> {
        self.over.clear();
        let table = self.tables.get(set.number)?;
        let plain = Folded::new(set, &table.labels, &self.over, Fold::None);
        let hash = table.series.hash(plain.values());
        if let Some(place) = table.series.find(hash, plain.values()) {
            return Some(Found { place, fold: Fold::None, new: false, over: false });
        }
        self.mark(set, hash, sink, errors);
        let found = self.settle(set, health, sink, errors)?;
        if found.fold > Fold::None || found.over {
            errors.overflow();
        }
        Some(found)
    }

    /// The id of a metric of the label set found last, which is defined if it is not yet; the only time its name is built.
    pub fn id(
        &mut self,
        set: LabelSet<'_>,
        found: Option<Found>,
        metric: usize,
        encoder: &Encoder,
        sink: &mut impl Sink,
    ) -> Result<Option<MetricId>, Failed> {
        let (Some(found), Some(table)) = (found, self.tables.get_mut(set.number)) else {
            return Ok(None);
        };
        let Some(id) = table.series.ids(found.place).get_mut(metric) else { return Ok(None) };
        if id.is_none()
            && let Some(metric) = set.group.metrics.get(metric)
        {
            let folded = Folded::new(set, &table.labels, &self.over, found.fold);
            *id = Some(sink.define(metric.kind, &folded.stat_name(&metric.name, encoder))?);
        }
        Ok(*id)
    }

    /// Defines what is known to come beside a label set: the series of other operations and status codes, at zero. When
    /// half the budget is taken no more is.
    pub fn prewarm(
        &mut self,
        set: LabelSet<'_>,
        plan: &Plan,
        health: &Health,
        sink: &mut impl Sink,
        errors: &mut Errors,
    ) {
        let Some(prewarm) = &plan.prewarm else { return };
        let limit = self.limits.max_series / 2;
        for instead in prewarm.sets(set.number) {
            let room = self.has_room();
            let Some(table) = self.tables.get_mut(set.number) else { return };
            let labels = &table.labels;
            let over = instead.iter().zip(&table.limited).any(|(value, limited)| {
                let values = limited.and_then(|place| self.values.get_mut(place));
                match (value, values, self.limits.max_values) {
                    (Some(value), Some((_, values)), Some(most)) => {
                        is_one_too_many(*value, values, most, sink, errors)
                    }
                    _ => false,
                }
            });
            if over {
                continue;
            }
            let folded = Folded { set, labels, over: &[], instead: &instead, fold: Fold::None };
            let hash = table.series.hash(folded.values());
            if table.series.find(hash, folded.values()).is_some() {
                continue;
            }
            match errors.host_call(Call::SharedData, self.sets.admit(hash, limit, sink)) {
                Some(Admission::Full) => return,
                _ if !room => return,
                Some(Admission::Known) => {}
                Some(Admission::New) | None => {
                    errors.host_call(Call::RecordMetric, health.count_set(sink));
                }
            }
            let metrics = &set.group.metrics;
            let names: Vec<String> =
                metrics.iter().map(|m| folded.stat_name(&m.name, &plan.encoder)).collect();
            let place = table.series.insert(hash, folded.values(), metrics.len());
            self.held = self.held.saturating_add(1);
            let ids = table.series.ids(place).iter_mut();
            for ((metric, name), id) in metrics.iter().zip(names).zip(ids) {
                if !set.view.may_record(metric) {
                    continue;
                }
                *id = errors.host_call(Call::DefineMetric, sink.define(metric.kind, &name));
                if let (Some(id), MetricKind::Counter) = (*id, metric.kind) {
                    // Makes Envoy show it to those who ask for what is used only; no harm where that fails.
                    let _ = sink.record(id, 0);
                }
            }
        }
    }

    fn limit(&mut self, label: &str, sink: &mut impl Sink, errors: &mut Errors) -> usize {
        if let Some(place) = self.values.iter().position(|(name, _)| name == label) {
            return place;
        }
        let (values, opened) = Registry::open([VALUES, label].concat(), sink);
        errors.host_call(Call::SharedData, opened);
        self.values.push((label.to_owned(), values));
        self.values.len().saturating_sub(1)
    }

    /// Finds out which labels have a value too many. A set that finds no room takes none from others.
    fn mark(&mut self, set: LabelSet<'_>, hash: u64, sink: &mut impl Sink, errors: &mut Errors) {
        let Some(most) = self.limits.max_values else { return };
        let Some(table) = self.tables.get(set.number) else { return };
        let room = self.has_room() && self.sets.has_room(hash, self.limit_of(Fold::None));
        for ((_, source), limited) in set.group.labels.iter().zip(&table.limited) {
            let limit = if room { most } else { 0 };
            let values = limited.and_then(|place| self.values.get_mut(place));
            let over = values.is_some_and(|(_, values)| {
                is_one_too_many(set.view.value(source), values, limit, sink, errors)
            });
            self.over.push(over);
        }
    }

    fn settle(
        &mut self,
        set: LabelSet<'_>,
        health: &Health,
        sink: &mut impl Sink,
        errors: &mut Errors,
    ) -> Option<Found> {
        let custom = self.tables.get(set.number)?.labels.contains(&None);
        for fold in [Fold::None, Fold::Custom, Fold::Peers, Fold::All] {
            if fold == Fold::Custom && !custom {
                continue;
            }
            let (room, limit) = (self.has_room(), self.limit_of(fold));
            let table = self.tables.get_mut(set.number)?;
            let folded = Folded::new(set, &table.labels, &self.over, fold);
            let hash = table.series.hash(folded.values());
            if let Some(place) = table.series.find(hash, folded.values()) {
                return Some(Found { place, fold, new: false, over: self.over.contains(&true) });
            }
            if !room && fold != Fold::All {
                continue;
            }
            match errors.host_call(Call::SharedData, self.sets.admit(hash, limit, sink)) {
                Some(Admission::Full) if fold < Fold::All => continue,
                Some(Admission::Known) => {}
                // The last one is taken even where other workers were always faster to share theirs.
                Some(Admission::New | Admission::Full) | None => {
                    errors.host_call(Call::RecordMetric, health.count_set(sink));
                }
            }
            let place = table.series.insert(hash, folded.values(), set.group.metrics.len());
            self.held = self.held.saturating_add(1);
            let over = self.over.contains(&true);
            return Some(Found { place, fold, new: fold == Fold::None && !over, over });
        }
        None
    }

    /// Whether this worker may hold another set. It holds no more than all are allowed together, unless hashes collide.
    fn has_room(&self) -> bool {
        self.held < self.limits.max_series
    }

    /// How many sets there may be before one that is folded so far is added: the last eighth is for folded ones.
    fn limit_of(&self, fold: Fold) -> usize {
        let max = self.limits.max_series;
        match fold {
            Fold::None => max.saturating_sub(max / 8),
            Fold::Custom => max.saturating_sub(max / 16),
            Fold::Peers => max,
            Fold::All => usize::MAX,
        }
    }
}

// === impl Found ===

impl Found {
    /// Whether every stream with these labels finds the same from now on.
    pub fn is_settled(self) -> bool {
        self.fold == Fold::None && !self.new && !self.over
    }
}

// === impl Folded ===

impl<'a> Folded<'a> {
    fn new(set: LabelSet<'a>, labels: &'a [Option<Label>], over: &'a [bool], fold: Fold) -> Self {
        Self { set, labels, over, instead: &[], fold }
    }

    /// The values, in the order of the group's labels.
    fn values(&self) -> impl Iterator<Item = Value<'a>> + Clone {
        let folded = *self;
        (0..self.labels.len()).map_while(move |place| folded.value(place))
    }

    #[inline(never)]
    fn value(&self, place: usize) -> Option<Value<'a>> {
        let (_, source) = self.set.group.labels.get(place)?;
        let label = *self.labels.get(place)?;
        let view = self.set.view;
        let over = self.over.get(place).is_some_and(|over| *over);
        Some(if let Some(Some(value)) = self.instead.get(place) {
            *value
        } else if over || folds(self.fold, label, view.labels.reporter) {
            Value::Text(OVERFLOW)
        } else {
            view.value(source)
        })
    }

    fn stat_name(&self, metric: &str, encoder: &Encoder) -> String {
        let mut name = String::new();
        for ((label, _), value) in self.set.group.labels.iter().zip(self.values()) {
            encoder.label(label, value, &mut name);
        }
        name.push_str(metric);
        name
    }
}

/// Whether a value of a dimension is not among the `most` there may be. To have none is no value.
fn is_one_too_many(
    value: Value<'_>,
    values: &mut Registry,
    most: usize,
    sink: &mut impl Sink,
    errors: &mut Errors,
) -> bool {
    match value {
        Value::Text(value) if value != UNKNOWN => {
            let hash = Hashing::with_seed(0).hash_one(value);
            errors.host_call(Call::SharedData, values.admit(hash, most, sink))
                == Some(Admission::Full)
        }
        _ => false,
    }
}

/// Groups hash apart from each other, and a group alike wherever it is.
fn seed(group: &Group) -> u64 {
    let labels = group.labels.iter().map(|(name, _)| name.as_str());
    let metrics = group.metrics.iter().map(|metric| metric.name.as_str());
    cut::hash(labels.chain([""]).chain(metrics).collect::<Vec<&str>>().join("\0").as_bytes())
}

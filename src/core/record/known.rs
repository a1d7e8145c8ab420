//! Requests like ones before: from what their labels are made of straight to their metrics.
//!
//! The labels of a request cost more to work out than everything else about it, and few requests differ in them. What they
//! are made of is a part of the fetched bytes as they are, so a request like one before is known by one comparison.

use super::scratch::Scratch;
use super::stream::Stream;
use crate::attribute::fact::TABLE;
use crate::attribute::{Fact, Facts};
use crate::expr::Numbers;
use crate::metric::standard::{Measure, Occasion};
use crate::peer::Field;
use crate::plan::{Plan, Source};
use crate::port::{MetricId, MetricKind};

/// The requests that are known.
#[derive(Debug)]
pub(super) struct KnownRequests {
    /// What standard labels are made of, among what is fetched.
    facts: Vec<Fact>,
    /// Expressions that labels are made of.
    expressions: Vec<usize>,
    max: usize,
    index: Numbers,
    entries: Vec<Entry>,
    /// What the labels of the request in hand are made of.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    metrics: Box<[Metric]>,
}

/// A metric of a label set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub kind: MetricKind,
    pub id: MetricId,
    pub measure: Measure,
}

/// Most bytes of a request that is kept: a few times what its labels may hold.
const MAX_KEY_BYTES: usize = 4 * 1024;

/// What standard labels tell of a peer.
const OF_LABELS: [Field; 8] = [
    Field::Workload,
    Field::Namespace,
    Field::Cluster,
    Field::Service,
    Field::Revision,
    Field::App,
    Field::Version,
    Field::Identity,
];

// === impl KnownRequests ===

impl KnownRequests {
    /// Knows nothing yet. `None` for a plan that has nothing to record of requests.
    pub fn new(plan: &Plan) -> Option<Self> {
        if !plan.records(Occasion::Request) && !plan.records(Occasion::End) {
            return None;
        }
        let is_asked = |fact: Fact| {
            fact == Fact::ListenerDirection || plan.request_facts.iter().any(|f| f.contains(&fact))
        };
        let of_labels = |fact: &Fact| fact.is_of_labels() && is_asked(*fact);
        let facts = TABLE.iter().map(|(fact, _)| *fact).filter(of_labels).collect();
        let mut expressions = Vec::new();
        for (_, source) in plan.groups.iter().flat_map(|group| &group.labels) {
            add_expressions(source, &mut expressions);
        }
        Some(Self {
            facts,
            expressions,
            max: plan.limits.max_series.saturating_mul(2),
            index: Numbers::default(),
            entries: Vec::new(),
            key: Vec::new(),
        })
    }

    /// The metrics of a request like one before; empty for one that is new.
    pub fn find(&mut self, stream: &Stream, scratch: &Scratch) -> (u64, &[Metric]) {
        self.take_key(stream, scratch);
        let hash = self.index.hash(self.key.as_slice());
        let entry = |number: u32| self.entries.get(usize::try_from(number).ok()?);
        let same = |number: u32| entry(number).is_some_and(|entry| is_same(&entry.key, &self.key));
        let found = self.index.find(hash, &same).and_then(entry);
        (hash, found.map(|entry| &*entry.metrics).unwrap_or_default())
    }

    /// Keeps the metrics of the request looked for last, if there is room.
    pub fn learn(&mut self, hash: u64, metrics: Vec<Metric>) {
        let is_full = self.entries.len() >= self.max;
        if is_full || metrics.is_empty() || self.key.len() > MAX_KEY_BYTES {
            return;
        }
        self.index.insert(hash, u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(Entry { key: self.key.as_slice().into(), metrics: metrics.into() });
    }

    /// Makes room when there is none.
    pub fn forget(&mut self) {
        if self.entries.len() >= self.max {
            self.index.clear();
            self.entries.clear();
        }
    }

    fn take_key(&mut self, stream: &Stream, scratch: &Scratch) {
        let key = &mut self.key;
        key.clear();
        let mut add = |part: &[u8]| {
            // Longer parts than this are not kept.
            key.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            key.extend_from_slice(part);
        };
        let facts = Facts::new(&scratch.facts, &scratch.ranges);
        match facts.of_labels() {
            Some(parts) => parts.into_iter().for_each(&mut add),
            None => self.facts.iter().for_each(|fact| add(facts.bytes(*fact))),
        }
        for index in &self.expressions {
            add(scratch.value(*index).unwrap_or_default());
        }
        let peers = stream.exchange.as_ref().map(|told| [&told.downstream, &told.upstream]);
        for peer in peers.into_iter().flatten() {
            add(if peer.is_some() { b"peer" } else { b"" });
            for field in peer.iter().flat_map(|_| OF_LABELS) {
                add(peer.as_ref().map(|peer| peer.get(field)).unwrap_or_default());
            }
        }
        key.extend([stream.grpc.map_or(2, u8::from), stream.share as u8]);
        key.extend(stream.grpc_status.unwrap_or(i64::MIN).to_le_bytes());
        key.extend(scratch.conditions.iter().map(|holds| u8::from(*holds)));
    }
}

/// Eight bytes at a time: what the compiler makes of `==` looks at one.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    words.len() == other_words.len()
        && words.iter().zip(other_words).all(|(one, other)| word(one) == word(other))
        && rest == other_rest
}

fn add_expressions(source: &Source, expressions: &mut Vec<usize>) {
    match source {
        Source::Nothing | Source::Standard(_) => {}
        Source::Expression(index) if expressions.contains(index) => {}
        Source::Expression(index) => expressions.push(*index),
        Source::When(_, sources) => {
            add_expressions(&sources.0, expressions);
            add_expressions(&sources.1, expressions);
        }
    }
}

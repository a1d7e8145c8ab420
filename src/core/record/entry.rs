//! Entries of an access log: streams that nobody followed, told once, at their end.

use super::Recorder;
use super::claim::Share;
use super::health::Errors;
use super::queries::{keys_by_reporter, query};
use super::scratch::Scratch;
use super::stream::{Kind, Outcome, Stream};
use crate::attribute::{Fact, Facts, Query, decode};
use crate::config::Phase;
use crate::expr::Numbers;
use crate::metric::standard::Occasion;
use crate::plan::Plan;
use crate::port::{ExprId, Host, Sink};

/// What is asked about an entry.
#[derive(Debug)]
pub(super) struct Entries {
    /// What attributes of the request phase read; `None` when the facts of the request are enough.
    early: Option<Query>,
    request: Query,
    connection: Query,
    has_details: Option<ExprId>,
    published: Vec<Published>,
}

/// An attribute of the request phase, as the filter has published it.
#[derive(Debug)]
struct Published {
    /// Index into [`Plan::attribute_names`].
    name: usize,
    expression: ExprId,
    /// Values by their hash, and what each stands for.
    index: Numbers,
    outcomes: Vec<(Box<[u8]>, Outcome)>,
}

/// Tells requests from connections: even a request that could not be read has a protocol.
const IS_REQUEST: &str = "has(request.protocol)";

/// Tells requests without a response from the connection that carried them, which has a protocol too: of every request Envoy
/// says how it ended.
const HAS_DETAILS: &str = "has(response.code_details)";

impl Recorder {
    /// Whether metrics of TCP connections are recorded.
    pub fn counts_connections(&self) -> bool {
        [Occasion::Connection, Occasion::End].iter().any(|due| self.plan.records(*due))
    }

    /// An entry is written to an access log. Records the stream if it is over; Envoy 1.40 keeps entries of streams that
    /// last from modules, so that the only one is the last. `share` is what this mount records of it, if it is a request.
    ///
    /// Nothing can be published for an entry: attributes serve this plan alone.
    pub fn on_entry(&mut self, share: Share, host: &mut impl Host, sink: &mut impl Sink) {
        let mut stream = Stream { share, ..Stream::default() };
        self.scratch.begin(&self.plan, &stream);
        self.scratch.silent = true;
        let mut entries =
            self.entries.take().unwrap_or_else(|| Box::new(Entries::compile(&self.plan, host)));
        let mut errors = Errors::default();
        let mut derive =
            self.plan.derives_on_request() && !entries.read_published(host, &mut self.scratch);
        if let (true, Some(early)) = (derive, &mut entries.early) {
            derive = false;
            let Scratch { facts, ranges, .. } = &mut self.scratch;
            if early.fetch(host, facts, ranges) {
                self.derive(Phase::OnRequest, &stream, host, &mut errors);
            }
        }
        stream.kind = entries.fetch(host, &mut self.scratch);
        if stream.is_connection() {
            stream.share = Share::All;
        } else {
            self.recall(&stream, host);
        }
        if self.is_over() && (stream.is_connection() || self.is_request(&entries, host)) {
            if stream.share != Share::All {
                errors.duplicate();
            }
            if derive && !stream.is_connection() {
                self.derive(Phase::OnRequest, &stream, host, &mut errors);
            }
            self.finish(&mut stream, errors, host, sink);
        }
        self.entries = Some(entries);
    }

    /// Whether what has the protocol of a request is one. A listener writes an entry for each connection; its requests are
    /// the connection manager's to tell. Where nobody knows, it is one.
    fn is_request(&self, entries: &Entries, host: &mut impl Host) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        if facts.int(Fact::ResponseCode).is_some() {
            return true;
        }
        let mut answer = Vec::new();
        let asked = entries.has_details.map(|details| host.evaluate(details, &mut answer));
        asked != Some(Ok(()))
            || decode::boolean(&answer) != Some(false)
            // Of a request over HTTP/3 that its client resets Envoy says nothing.
            || host.attribute(Fact::Method.path(), &mut Vec::new()).is_ok()
    }

    fn is_over(&self) -> bool {
        let facts = Facts::new(&self.scratch.facts, &self.scratch.ranges);
        facts.int(Fact::Duration).is_some()
    }
}

// === impl Entries ===

impl Entries {
    fn compile(plan: &Plan, host: &mut impl Host) -> Self {
        let early = !plan.early.slots.is_empty();
        let early = early.then(|| {
            let facts = [plan.early.facts.clone()];
            query(&facts, &plan.early, &plan.early_reads, host).only_if(IS_REQUEST, host)
        });
        let also = |facts: Vec<Fact>, more: &[Fact]| [&facts, more, &[Fact::Duration]].concat();
        let request: Vec<Vec<Fact>> = keys_by_reporter(plan)
            .into_iter()
            .map(|facts| also(facts, &plan.early.facts))
            .collect();
        let connection = [also(plan.connection.facts.clone(), &[])];
        Self {
            early,
            request: query(&request, &plan.request, &plan.reads, host).only_if(IS_REQUEST, host),
            connection: query(&connection, &plan.connection, &plan.reads, host),
            has_details: host.compile(HAS_DETAILS).ok(),
            published: Published::all(plan, host),
        }
    }

    fn fetch(&mut self, host: &mut impl Host, scratch: &mut Scratch) -> Kind {
        if self.request.fetch(host, &mut scratch.facts, &mut scratch.ranges) {
            return Kind::Request;
        }
        self.connection.fetch(host, &mut scratch.facts, &mut scratch.ranges);
        Kind::Connection
    }

    /// Takes over what the filter has published; `false` when there is nothing.
    fn read_published(&self, host: &mut impl Host, scratch: &mut Scratch) -> bool {
        let mut found = false;
        for published in &self.published {
            let start = scratch.buffer.len();
            let read = host.evaluate(published.expression, &mut scratch.buffer);
            let value = scratch.buffer.get(start..).unwrap_or_default();
            if read.is_ok() && !value.is_empty() {
                found = true;
                let outcome = published.outcome(value);
                if let Some(slot) = scratch.attributes.get_mut(published.name) {
                    *slot = outcome;
                }
            }
            scratch.buffer.truncate(start);
        }
        found
    }
}

// === impl Published ===

impl Published {
    fn all(plan: &Plan, host: &mut impl Host) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let attributes = plan.attributes.iter().enumerate();
        for (index, attribute) in attributes.filter(|(_, a)| a.phase == Phase::OnRequest) {
            let known = all.iter().position(|published| published.name == attribute.name);
            let place = known.unwrap_or(all.len());
            if known.is_none() {
                let Some(name) = plan.attribute_names.get(attribute.name) else { continue };
                let text =
                    format!("'wasm.{name}' in filter_state ? filter_state['wasm.{name}'] : ''");
                let Ok(expression) = host.compile(&text) else { continue };
                all.push(Self {
                    name: attribute.name,
                    expression,
                    index: Numbers::default(),
                    outcomes: Vec::new(),
                });
            }
            if let Some(published) = all.get_mut(place) {
                for (number, value) in attribute.values().enumerate() {
                    published.add(value, (index, number));
                }
            }
        }
        all
    }

    fn add(&mut self, value: &[u8], outcome: (usize, usize)) {
        if self.outcome(value).is_none() {
            let hash = self.index.hash(value);
            self.index.insert(hash, u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX));
            self.outcomes.push((value.into(), Some(outcome)));
        }
    }

    fn outcome(&self, value: &[u8]) -> Outcome {
        let entry = |number: u32| self.outcomes.get(usize::try_from(number).ok()?);
        let same = |number: u32| entry(number).is_some_and(|(known, _)| **known == *value);
        entry(self.index.find(self.index.hash(value), &same)?)?.1
    }
}

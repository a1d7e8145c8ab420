//! Fetches all facts of a stream with one evaluation of a list.

use super::decode::{self, Pairs};
use super::fact::{FACT_COUNT, Fact, TABLE};
use crate::port::{ExprId, Host};
use std::ops::Range;

/// Facts that are fetched together, compiled once.
///
/// The list is the normal way. When it fails for a stream, each of its facts is evaluated alone; those that failed leave
/// the list and are evaluated alone from then on, so that no fact makes the others fail twice.
#[derive(Debug, Default)]
pub struct Query {
    list: Option<ExprId>,
    listed: Vec<Element>,
    alone: Vec<Element>,
}

/// A fact and its own expression.
#[derive(Clone, Copy, Debug)]
struct Element {
    fact: Fact,
    expression: ExprId,
}

/// The facts of one stream: ranges into the buffer they were fetched into. Absent facts are empty.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    buffer: &'a [u8],
    ranges: &'a Ranges,
}

/// Where each fact lies in the buffer.
pub(crate) type Ranges = [Range<usize>; FACT_COUNT];

/// No fact fetched yet.
pub(crate) const NO_RANGES: Ranges = [const { 0..0 }; FACT_COUNT];

// === impl Query ===

impl Query {
    /// Compiles the facts in `needs`, given in any order and as often as they are needed.
    pub fn compile(needs: &[Fact], host: &mut impl Host) -> Self {
        let needed = TABLE.iter().filter(|(fact, _)| needs.contains(fact));
        let compiled = needed.filter_map(|(fact, text)| {
            host.compile(text).ok().map(|expression| Element { fact: *fact, expression })
        });
        let mut query = Self { listed: compiled.collect(), ..Self::default() };
        query.compile_list(host);
        query
    }

    /// Fetches all facts into `buffer`; those that cannot be evaluated are absent.
    pub(crate) fn fetch(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) {
        *ranges = NO_RANGES;
        if !self.listed.is_empty() && self.fetch_list(host, buffer, ranges).is_none() {
            *ranges = NO_RANGES;
            self.fetch_listed_one_by_one(host, buffer, ranges);
        }
        for element in &self.alone {
            element.fetch(host, buffer, ranges);
        }
    }

    /// Fetches all facts into `buffer` one by one: for the timer, when expressions cannot be evaluated for a stream.
    pub(crate) fn fetch_attributes(
        &self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) {
        *ranges = NO_RANGES;
        for Element { fact, .. } in self.listed.iter().chain(&self.alone) {
            let start = buffer.len();
            buffer.extend(host.attribute(fact.path()).unwrap_or_default());
            if let Some(range) = ranges.get_mut(fact.index()) {
                *range = start..buffer.len();
            }
        }
    }

    fn fetch_list(
        &self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> Option<()> {
        let start = buffer.len();
        host.evaluate(self.list?, buffer).ok()?;
        let mut elements = Pairs::parse(buffer.get(start..)?)?;
        for Element { fact, .. } in &self.listed {
            let element = elements.next_element()?;
            *ranges.get_mut(fact.index())? =
                start.checked_add(element.start)?..start.checked_add(element.end)?;
        }
        Some(())
    }

    fn fetch_listed_one_by_one(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) {
        let before = self.listed.len();
        let mut failed = Vec::new();
        self.listed.retain(|element| {
            let fetched = element.fetch(host, buffer, ranges);
            if !fetched {
                failed.push(*element);
            }
            fetched
        });
        if self.listed.len() < before {
            self.compile_list(host);
        }
        self.alone.append(&mut failed);
    }

    fn compile_list(&mut self, host: &mut impl Host) {
        let texts: Vec<&str> = self.listed.iter().map(|e| e.fact.expression()).collect();
        self.list = host.compile(&format!("[{}]", texts.join(", "))).ok();
    }
}

// === impl Element ===

impl Element {
    fn fetch(&self, host: &mut impl Host, buffer: &mut Vec<u8>, ranges: &mut Ranges) -> bool {
        let start = buffer.len();
        let fetched = host.evaluate(self.expression, buffer).is_ok();
        if let Some(range) = ranges.get_mut(self.fact.index()) {
            *range = start..buffer.len();
        }
        fetched
    }
}

// === impl Facts ===

impl<'a> Facts<'a> {
    pub(crate) fn new(buffer: &'a [u8], ranges: &'a Ranges) -> Self {
        Self { buffer, ranges }
    }

    /// The fact's bytes; empty when absent.
    pub fn bytes(&self, fact: Fact) -> &'a [u8] {
        self.ranges
            .get(fact.index())
            .and_then(|range| self.buffer.get(range.clone()))
            .unwrap_or_default()
    }

    /// The fact as a number; `None` when absent.
    pub fn int(&self, fact: Fact) -> Option<i64> {
        decode::int(self.bytes(fact))
    }

    /// The fact as a number that cannot be negative; 0 when absent.
    pub fn count(&self, fact: Fact) -> u64 {
        self.int(fact).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
    }

    /// Whether the fact is there and true.
    pub fn is_true(&self, fact: Fact) -> bool {
        decode::boolean(self.bytes(fact)).unwrap_or_default()
    }

    /// A field of a fact that is a map; empty when absent.
    pub fn field(&self, fact: Fact, key: &[u8]) -> &'a [u8] {
        Pairs::parse(self.bytes(fact)).and_then(|pairs| pairs.get(key)).unwrap_or_default()
    }
}

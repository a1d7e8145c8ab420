//! Fetches facts of a stream: with one evaluation of a list, or one by one where none can be evaluated.

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
    /// Streams it is meant for; all without.
    condition: Option<Condition>,
    list: Option<ExprId>,
    listed: Vec<Element>,
    alone: Vec<Element>,
}

/// What tells the streams of a query from others.
#[derive(Clone, Copy, Debug)]
struct Condition {
    /// A bool that can be evaluated for every stream.
    text: &'static str,
    expression: ExprId,
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

    /// As [`Query::compile`], for streams for which `condition` holds: a bool that can be evaluated for every stream. It
    /// travels with the facts, so it costs no call of its own.
    pub(crate) fn compile_if(
        condition: &'static str,
        needs: &[Fact],
        host: &mut impl Host,
    ) -> Self {
        let mut query = Self::compile(needs, host);
        let expression = host.compile(condition).ok();
        query.condition = expression.map(|expression| Condition { text: condition, expression });
        query.compile_list(host);
        query
    }

    /// Fetches all facts into `buffer`; those that cannot be evaluated are absent. `false` for a stream that the query is
    /// not meant for.
    pub(crate) fn fetch(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> bool {
        *ranges = NO_RANGES;
        let start = buffer.len();
        if self.fetch_list(host, buffer, ranges).is_none() {
            *ranges = NO_RANGES;
            buffer.truncate(start);
            if !self.is_meant(host, buffer) {
                return false;
            }
            self.fetch_listed_one_by_one(host, buffer, ranges);
        } else if self.condition.is_some() && buffer.len() == start {
            return false;
        }
        for element in &self.alone {
            element.fetch(host, buffer, ranges);
        }
        true
    }

    /// Whether the condition, evaluated alone, holds.
    fn is_meant(&self, host: &mut impl Host, buffer: &mut Vec<u8>) -> bool {
        let Some(condition) = self.condition else { return true };
        let start = buffer.len();
        let evaluated = host.evaluate(condition.expression, buffer);
        let holds = decode::boolean(buffer.get(start..).unwrap_or_default());
        buffer.truncate(start);
        evaluated.is_ok() && holds.unwrap_or_default()
    }

    fn fetch_list(
        &self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> Option<()> {
        let start = buffer.len();
        host.evaluate(self.list?, buffer).ok()?;
        if self.condition.is_some() && buffer.len() == start {
            return Some(());
        }
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
        let list = format!("[{}]", texts.join(", "));
        self.list = match self.condition {
            _ if texts.is_empty() => None,
            None => host.compile(&list).ok(),
            Some(condition) => host.compile(&format!("{} ? {list} : ''", condition.text)).ok(),
        };
    }
}

/// Fetches facts one by one, which costs a host call each and works from a timer; those that are not there are absent.
pub(crate) fn fetch_apart(
    facts: &[Fact],
    host: &mut impl Host,
    buffer: &mut Vec<u8>,
    ranges: &mut Ranges,
) {
    *ranges = NO_RANGES;
    for (fact, _) in TABLE.iter().filter(|(fact, _)| facts.contains(fact)) {
        let start = buffer.len();
        // Absent is no error.
        let _ = host.attribute(fact.path(), buffer);
        if let Some(range) = ranges.get_mut(fact.index()) {
            *range = start..buffer.len();
        }
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

//! Fetches facts of a stream: with one evaluation of a list, or one by one where none can be evaluated.

use super::decode::{self, Pairs};
use super::fact::{FACT_COUNT, Fact, TABLE};
use super::read::{Fetch, MARK};
use crate::expr::Slot;
use crate::port::{ExprId, Host};
use std::borrow::Cow;
use std::ops::Range;

/// Facts, and what expressions read, that are fetched together, compiled once.
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

/// A value and its own expression.
#[derive(Clone, Debug)]
struct Element {
    key: Key,
    text: Cow<'static, str>,
    expression: ExprId,
}

/// Which value.
#[derive(Clone, Copy, Debug)]
enum Key {
    Fact(Fact),
    /// What an expression reads.
    Read(Slot),
}

/// The facts of one stream: ranges into the buffer they were fetched into. Absent facts are empty.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    buffer: &'a [u8],
    ranges: &'a Ranges,
}

/// Where each value lies in the buffer.
#[derive(Debug)]
pub(crate) struct Ranges {
    facts: [Range<usize>; FACT_COUNT],
    reads: Vec<Range<usize>>,
}

// === impl Query ===

impl Query {
    /// Compiles the facts in `needs`, given in any order and as often as they are needed.
    pub fn compile(needs: &[Fact], host: &mut impl Host) -> Self {
        Self::with_reads(needs, std::iter::empty(), host)
    }

    /// Compiles facts together with what expressions read.
    pub(crate) fn with_reads<'f>(
        needs: &[Fact],
        reads: impl Iterator<Item = (Slot, &'f Fetch)>,
        host: &mut impl Host,
    ) -> Self {
        let mut query = Self::default();
        for (fact, text) in TABLE.iter().filter(|(fact, _)| needs.contains(fact)) {
            query.add(Key::Fact(*fact), Cow::Borrowed(text), host);
        }
        for (slot, fetch) in reads {
            query.add(Key::Read(slot), Cow::Owned(fetch.expression()), host);
        }
        query.compile_list(host);
        query
    }

    fn add(&mut self, key: Key, text: Cow<'static, str>, host: &mut impl Host) {
        if let Ok(expression) = host.compile(&text) {
            self.listed.push(Element { key, text, expression });
        }
    }

    /// For streams for which `condition` holds: a bool that can be evaluated for every stream. It travels with the facts,
    /// so it costs no call of its own.
    pub(crate) fn only_if(mut self, condition: &'static str, host: &mut impl Host) -> Self {
        let expression = host.compile(condition).ok();
        self.condition = expression.map(|expression| Condition { text: condition, expression });
        self.compile_list(host);
        self
    }

    /// Fetches all facts into `buffer`; those that cannot be evaluated are absent. `false` for a stream that the query is
    /// not meant for.
    pub(crate) fn fetch(
        &mut self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> bool {
        ranges.clear();
        let start = buffer.len();
        if self.fetch_list(host, buffer, ranges).is_none() {
            ranges.clear();
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
        for Element { key, .. } in &self.listed {
            let element = elements.next_element()?;
            let range = start.checked_add(element.start)?..start.checked_add(element.end)?;
            ranges.set(*key, range);
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
                failed.push(element.clone());
            }
            fetched
        });
        if self.listed.len() < before {
            self.compile_list(host);
        }
        self.alone.append(&mut failed);
    }

    fn compile_list(&mut self, host: &mut impl Host) {
        let texts: Vec<&str> = self.listed.iter().map(|element| &*element.text).collect();
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
    ranges.clear();
    for (fact, _) in TABLE.iter().filter(|(fact, _)| facts.contains(fact)) {
        let start = buffer.len();
        // Absent is no error.
        let _ = host.attribute(fact.path(), buffer);
        ranges.set(Key::Fact(*fact), start..buffer.len());
    }
}

/// Fetches what an expression reads, beside what is there; otherwise as [`fetch_apart`].
pub(crate) fn fetch_read(
    slot: Slot,
    fetch: &Fetch,
    host: &mut impl Host,
    buffer: &mut Vec<u8>,
    ranges: &mut Ranges,
) {
    let start = buffer.len();
    if fetch.is_marked() {
        buffer.push(MARK);
    }
    if host.attribute(&fetch.path(), buffer).is_err() {
        buffer.truncate(start);
    }
    ranges.set(Key::Read(slot), start..buffer.len());
}

// === impl Element ===

impl Element {
    fn fetch(&self, host: &mut impl Host, buffer: &mut Vec<u8>, ranges: &mut Ranges) -> bool {
        let start = buffer.len();
        let fetched = host.evaluate(self.expression, buffer).is_ok();
        ranges.set(self.key, start..buffer.len());
        fetched
    }
}

// === impl Ranges ===

impl Ranges {
    /// Nothing fetched yet.
    pub const fn new() -> Self {
        Self { facts: [const { 0..0 }; FACT_COUNT], reads: Vec::new() }
    }

    /// Where a fact lies that was found elsewhere.
    pub fn set_fact(&mut self, fact: Fact, range: Range<usize>) {
        self.set(Key::Fact(fact), range);
    }

    fn clear(&mut self) {
        self.facts.fill(0..0);
        self.reads.fill(0..0);
    }

    fn set(&mut self, key: Key, range: Range<usize>) {
        let place = match key {
            Key::Fact(fact) => self.facts.get_mut(fact.index()),
            Key::Read(slot) => {
                let slot = usize::from(slot.0);
                if self.reads.len() <= slot {
                    self.reads.resize(slot.saturating_add(1), 0..0);
                }
                self.reads.get_mut(slot)
            }
        };
        if let Some(place) = place {
            *place = range;
        }
    }
}

// === impl Facts ===

impl<'a> Facts<'a> {
    pub(crate) fn new(buffer: &'a [u8], ranges: &'a Ranges) -> Self {
        Self { buffer, ranges }
    }

    /// The fact's bytes; empty when absent.
    pub fn bytes(&self, fact: Fact) -> &'a [u8] {
        self.slice(self.ranges.facts.get(fact.index()))
    }

    /// What an expression reads; empty when absent.
    pub(crate) fn read(&self, slot: Slot) -> &'a [u8] {
        self.slice(self.ranges.reads.get(usize::from(slot.0)))
    }

    fn slice(&self, range: Option<&Range<usize>>) -> &'a [u8] {
        range.and_then(|range| self.buffer.get(range.clone())).unwrap_or_default()
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

//! Fetches all facts of a stream with one evaluation of a list.

use super::decode::{self, Pairs};
use super::fact::{FACT_COUNT, Fact, TABLE};
use crate::port::{ExprId, Host};
use std::ops::Range;

/// The facts a plan needs, compiled once.
///
/// The list is the normal way. Its elements are compiled one by one as well: when the list fails on some stream, the
/// facts that can be had are still fetched.
#[derive(Debug, Default)]
pub struct Query {
    list: Option<ExprId>,
    elements: Vec<(Fact, Option<ExprId>)>,
}

/// The facts of one stream: ranges into the buffer they were fetched into. Absent facts are empty.
#[derive(Debug)]
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
        let expressions: Vec<&str> =
            TABLE.iter().filter(|(fact, _)| needs.contains(fact)).map(|(_, text)| *text).collect();
        let list = host.compile(&format!("[{}]", expressions.join(", "))).ok();
        let elements = TABLE
            .iter()
            .filter(|(fact, _)| needs.contains(fact))
            .map(|(fact, text)| (*fact, host.compile(text).ok()))
            .collect();
        Self { list, elements }
    }

    /// Fetches all facts into `buffer`; returns how many could not be evaluated (they stay absent).
    pub(crate) fn fetch(
        &self,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) -> u32 {
        *ranges = NO_RANGES;
        if self.fetch_list(host, buffer, ranges).is_some() {
            return 0;
        }
        let mut failed: u32 = 0;
        for (fact, expression) in &self.elements {
            let start = buffer.len();
            let fetched = expression.is_some_and(|e| host.evaluate(e, buffer).is_ok());
            failed = failed.saturating_add(u32::from(!fetched));
            if let Some(range) = ranges.get_mut(fact.index()) {
                *range = start..buffer.len();
            }
        }
        failed
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
        for (fact, _) in &self.elements {
            let element = elements.next_element()?;
            *ranges.get_mut(fact.index())? =
                start.checked_add(element.start)?..start.checked_add(element.end)?;
        }
        Some(())
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

    /// A field of a fact that is a map; empty when absent.
    pub fn field(&self, fact: Fact, key: &[u8]) -> &'a [u8] {
        Pairs::parse(self.bytes(fact)).and_then(|pairs| pairs.get(key)).unwrap_or_default()
    }
}

//! Where the values of one stream lie.

use super::decode::{self, Pairs};
use super::fact::{FACT_COUNT, Fact};
use crate::expr::Slot;
use std::ops::Range;

/// Which value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
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
    /// `None` when the values are scattered.
    list: Option<Listed>,
    facts: [Range<usize>; FACT_COUNT],
    reads: Vec<Range<usize>>,
}

/// Where the facts that labels are made of lie in a list: in front.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// How many elements the list has, and the lengths of these.
    pub lengths: Range<usize>,
    /// Their values.
    pub values: Range<usize>,
    /// Where the list ends, and what is recalled begins.
    pub end: usize,
}

// === impl Ranges ===

impl Ranges {
    /// Nothing fetched yet.
    pub const fn new() -> Self {
        Self { list: None, facts: [const { 0..0 }; FACT_COUNT], reads: Vec::new() }
    }

    /// Where a fact lies that was found elsewhere.
    pub fn set_fact(&mut self, fact: Fact, range: Range<usize>) {
        self.set(Key::Fact(fact), range);
    }

    /// Where a fact lies; an empty range when it is absent.
    pub(crate) fn fact(&self, fact: Fact) -> Range<usize> {
        self.facts.get(fact.index()).cloned().unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.list = None;
        self.facts.fill(0..0);
        self.reads.fill(0..0);
    }

    pub(super) fn set_list(&mut self, list: Option<Listed>) {
        self.list = list;
    }

    pub(super) fn set(&mut self, key: Key, range: Range<usize>) {
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

    /// What standard labels are made of, as it came: bytes that differ when one of the facts does. `None` when it is
    /// scattered.
    pub(crate) fn of_labels(&self) -> Option<[&'a [u8]; 3]> {
        let Listed { lengths, values, end } = self.ranges.list.as_ref()?;
        let part = |range: &Range<usize>| self.buffer.get(range.clone());
        Some([part(lengths)?, part(values)?, self.buffer.get(*end..)?])
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

//! Buffers used again for every stream.

use super::stream::{Outcome, Stream};
use crate::attribute::facts::Ranges;
use crate::attribute::{Fact, Facts};
use crate::plan::Plan;
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Scratch {
    /// Fetched facts.
    pub facts: Vec<u8>,
    pub ranges: Ranges,
    /// Values of expressions.
    pub buffer: Vec<u8>,
    /// Where the value of each of the plan's expressions lies; `None` when it has none.
    pub values: Vec<Option<Range<usize>>>,
    /// Which of the plan's conditions hold.
    pub conditions: Vec<bool>,
    pub attributes: Vec<Outcome>,
    /// Whether nothing can be published for the stream.
    pub silent: bool,
}

// === impl Scratch ===

impl Scratch {
    pub fn new() -> Self {
        Self {
            facts: Vec::new(),
            ranges: Ranges::new(),
            buffer: Vec::new(),
            values: Vec::new(),
            conditions: Vec::new(),
            attributes: Vec::new(),
            silent: false,
        }
    }

    /// Makes the buffers ready for a stream.
    pub fn begin(&mut self, plan: &Plan, stream: &Stream) {
        self.facts.clear();
        self.buffer.clear();
        self.values.clear();
        self.values.resize(plan.expressions.len(), None);
        self.conditions.clear();
        self.conditions.resize(plan.conditions.len(), false);
        self.silent = false;
        self.attributes.clone_from(&stream.attributes);
        self.attributes.resize(plan.attribute_names.len(), None);
    }

    /// Takes an amount off a fact that is a number; one that is absent stays so.
    pub fn subtract(&mut self, fact: Fact, amount: u64) {
        let facts = Facts::new(&self.facts, &self.ranges);
        if amount == 0 || facts.int(fact).is_none() {
            return;
        }
        let rest = facts.count(fact).saturating_sub(amount).to_le_bytes();
        // In its place: bytes behind the list would make every size a request of its own.
        let place = self.facts.get_mut(self.ranges.fact(fact)).filter(|at| at.len() == rest.len());
        if let Some(place) = place {
            place.copy_from_slice(&rest);
        }
    }

    pub fn holds(&self, condition: usize) -> bool {
        self.conditions.get(condition).copied().unwrap_or_default()
    }

    pub fn value(&self, index: usize) -> Option<&[u8]> {
        self.buffer.get(self.values.get(index)?.clone()?)
    }
}

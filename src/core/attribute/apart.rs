//! Fetches values by their paths, a host call each: from a timer, where no list can be evaluated.

use super::fact::{Fact, TABLE};
use super::facts::{Key, Ranges};
use super::read::{Fetch, MARK};
use crate::expr::Slot;
use crate::port::Host;

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

//! What the expressions of one phase read, and where each value comes from.

use super::AttributePlan;
use super::needs::Needs;
use crate::attribute::read::{Fetch, Known};
use crate::attribute::{Fact, Facts};
use crate::expr::{self, Read, Side, Slot, Slots, Source, Value};
use crate::mesh::PeerView;
use crate::peer::{Field, LabelId, LabelNames};

/// By slot, where a value comes from.
#[derive(Debug, Default)]
pub(crate) struct Reads(Vec<Origin>);

#[derive(Debug)]
enum Origin {
    /// Fetched from the host.
    Fetched(Fetch),
    /// The same as a fact.
    Fact(Fact, Fetch),
    /// A derived attribute, by name.
    Attribute(usize),
    /// A property of a peer.
    Peer(Side, Property),
    /// Nothing we know of.
    Unknown,
}

#[derive(Debug)]
enum Property {
    Field(Field),
    /// A pod label, and its place among those that are kept.
    Label(Box<str>, Option<LabelId>),
}

/// Values of one stream.
pub(crate) struct Values<'a> {
    pub reads: &'a Reads,
    pub facts: Facts<'a>,
    pub attributes: &'a [AttributePlan],
    /// Which attribute gave a name its value, and which value, by name.
    pub outcomes: &'a [Option<(usize, usize)>],
    pub downstream: PeerView<'a>,
    pub upstream: PeerView<'a>,
}

// === impl Reads ===

impl Reads {
    pub fn new(slots: &Slots, labels: &LabelNames) -> Self {
        Self(slots.reads().iter().map(|read| Origin::of(read, labels)).collect())
    }

    /// Adds what has to be fetched for some slots.
    pub fn need(&self, slots: &[Slot], needs: &mut Needs) {
        for slot in slots {
            match self.0.get(usize::from(slot.0)) {
                Some(Origin::Fetched(_)) => needs.slots.push(*slot),
                Some(Origin::Fact(fact, _)) => needs.facts.push(*fact),
                Some(Origin::Peer(side, _)) => {
                    needs.facts.extend_from_slice(super::needs::of_peer(*side));
                }
                Some(Origin::Attribute(_) | Origin::Unknown) | None => {}
            }
        }
    }

    /// How what is in a slot is fetched, if it is.
    pub fn fetch(&self, slot: Slot) -> Option<&Fetch> {
        match self.0.get(usize::from(slot.0))? {
            Origin::Fetched(fetch) => Some(fetch),
            _ => None,
        }
    }

    /// When what is in a slot is known of a stream that lasts; `late` are the names of attributes derived at its end.
    pub fn known(&self, slot: Slot, late: &[usize]) -> Known {
        match self.0.get(usize::from(slot.0)) {
            Some(Origin::Fetched(fetch) | Origin::Fact(_, fetch)) => fetch.known(),
            Some(Origin::Attribute(name)) if late.contains(name) => Known::AtEnd,
            _ => Known::Early,
        }
    }
}

/// The pod label of a peer that is read, if one is.
pub(super) fn pod_label(read: &Read) -> Option<&str> {
    match (&read.source, &*read.path) {
        (Source::Peer(_), [_, name]) => Some(name),
        _ => None,
    }
}

// === impl Origin ===

impl Origin {
    fn of(read: &Read, labels: &LabelNames) -> Self {
        match read.source {
            Source::Attribute(_) => match Fetch::of(read) {
                Some(fetch) => match fetch.fact() {
                    Some(fact) => Origin::Fact(fact, fetch),
                    None => Origin::Fetched(fetch),
                },
                None => Origin::Unknown,
            },
            Source::Derived(index) => Origin::Attribute(index.into()),
            Source::Peer(side) => match &*read.path {
                [_, name] => {
                    let id = labels.id(name.as_bytes());
                    Origin::Peer(side, Property::Label(name.clone(), id))
                }
                [field] => match Field::named(field.as_bytes()) {
                    Some(field) => Origin::Peer(side, Property::Field(field)),
                    None => Origin::Unknown,
                },
                _ => Origin::Unknown,
            },
        }
    }
}

// === impl Values ===

impl Values<'_> {
    fn attribute(&self, name: usize) -> Option<&[u8]> {
        let (attribute, value) = (*self.outcomes.get(name)?)?;
        Some(self.attributes.get(attribute)?.value(value))
    }

    fn peer(&self, side: Side, property: &Property) -> &[u8] {
        let peer = match side {
            Side::Downstream => self.downstream,
            Side::Upstream => self.upstream,
        };
        match property {
            Property::Field(field) => peer.get(*field),
            Property::Label(name, id) => peer.label(name, *id),
        }
    }
}

impl expr::Facts for Values<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        match self.reads.0.get(usize::from(slot.0))? {
            Origin::Fetched(fetch) => fetch.value(self.facts.read(slot)),
            Origin::Fact(fact, fetch) => fetch.value(self.facts.bytes(*fact)),
            Origin::Attribute(name) => self.attribute(*name).map(Value::Str),
            Origin::Peer(side, property) => {
                Some(self.peer(*side, property)).filter(|v| !v.is_empty()).map(Value::Str)
            }
            Origin::Unknown => None,
        }
    }
}

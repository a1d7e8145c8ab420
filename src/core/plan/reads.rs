//! What the expressions of one phase read, and where each value comes from.

use super::AttributePlan;
use crate::attribute::Facts;
use crate::attribute::read::Fetch;
use crate::expr::{self, Read, Slot, Slots, Source, Value};
use crate::mesh::PeerView;
use crate::peer::{Field, LabelId, LabelNames};

/// By slot, where a value comes from.
#[derive(Debug, Default)]
pub(crate) struct Reads(Vec<Origin>);

#[derive(Debug)]
enum Origin {
    /// Fetched from the host.
    Fetched(Fetch),
    /// A derived attribute.
    Attribute(usize),
    /// A property of a peer.
    Peer(Side, Property),
    /// Nothing we know of.
    Unknown,
}

/// Which peer of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Downstream,
    Upstream,
}

#[derive(Debug)]
enum Property {
    Field(Field),
    /// A pod label, and its place among those that are kept.
    Label(String, Option<LabelId>),
}

/// Names of the peers in expressions, after those of the derived attributes.
pub(crate) const PEERS: [(&str, Side); 2] = [
    ("filter_state.downstream_peer", Side::Downstream),
    ("filter_state.upstream_peer", Side::Upstream),
];

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
    /// `attributes` is the number of derived attributes in the scope of `slots`.
    pub fn new(slots: &Slots, attributes: usize, labels: &LabelNames) -> Self {
        Self(slots.reads().iter().map(|read| Origin::of(read, attributes, labels)).collect())
    }

    /// What has to be fetched, by slot.
    pub fn fetches(&self) -> Vec<Option<Fetch>> {
        let fetch = |origin: &Origin| match origin {
            Origin::Fetched(fetch) => Some(fetch.clone()),
            _ => None,
        };
        self.0.iter().map(fetch).collect()
    }

    /// Whether a peer is read.
    pub fn reads_peer(&self, side: Side) -> bool {
        self.0.iter().any(|origin| matches!(origin, Origin::Peer(s, _) if *s == side))
    }
}

/// The pod label of a peer that is read, if one is.
pub(super) fn pod_label(read: &Read, attributes: usize) -> Option<&str> {
    match (&read.source, &*read.path) {
        (Source::Derived(index), [labels, name])
            if usize::from(*index) >= attributes && **labels == *"labels" =>
        {
            Some(name)
        }
        _ => None,
    }
}

// === impl Origin ===

impl Origin {
    fn of(read: &Read, attributes: usize, labels: &LabelNames) -> Self {
        let Source::Derived(index) = read.source else {
            return Fetch::of(read).map_or(Origin::Unknown, Origin::Fetched);
        };
        let index = usize::from(index);
        let Some(peer) = index.checked_sub(attributes) else { return Origin::Attribute(index) };
        let Some((_, side)) = PEERS.get(peer) else { return Origin::Unknown };
        if let Some(name) = pod_label(read, attributes) {
            let id = labels.id(name.as_bytes());
            return Origin::Peer(*side, Property::Label(name.to_owned(), id));
        }
        let field = match &*read.path {
            [field] => Field::named(field.as_bytes()),
            _ => None,
        };
        field.map_or(Origin::Unknown, |field| Origin::Peer(*side, Property::Field(field)))
    }
}

impl Values<'_> {
    fn attribute(&self, name: usize) -> Option<&[u8]> {
        let (attribute, value) = (*self.outcomes.get(name)?)?;
        Some(self.attributes.get(attribute)?.value(value))
    }
}

impl expr::Facts for Values<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        let slot = usize::from(slot.0);
        match self.reads.0.get(slot)? {
            Origin::Fetched(fetch) => fetch.value(self.facts.read(slot)),
            Origin::Attribute(name) => self.attribute(*name).map(Value::Str),
            Origin::Peer(side, property) => {
                let peer = match side {
                    Side::Downstream => self.downstream,
                    Side::Upstream => self.upstream,
                };
                let value = match property {
                    Property::Field(field) => peer.get(*field),
                    Property::Label(name, id) => peer.label(name, *id),
                };
                (!value.is_empty()).then_some(Value::Str(value))
            }
            Origin::Unknown => None,
        }
    }

    fn is_own(&self, slot: Slot) -> bool {
        let origin = self.reads.0.get(usize::from(slot.0));
        matches!(origin, Some(Origin::Attribute(_) | Origin::Peer(..)))
    }
}

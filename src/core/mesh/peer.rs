//! The workload on the other side, whoever told of it.

use crate::attribute::decode::Pairs;
use crate::peer::{Field, LabelId, Peer};

/// What is known of a peer, by source. Properties that are not known are empty.
#[derive(Clone, Copy, Debug, Default)]
pub enum PeerView<'a> {
    /// Nobody told.
    #[default]
    Unknown,
    /// This module exchanged metadata with it.
    Exchanged(&'a Peer),
    /// The proxy's own exchange did: filter state `downstream_peer` or `upstream_peer`, an encoded map (Envoy
    /// `peer_metadata` filter).
    FilterState(&'a [u8]),
    /// Endpoint metadata `istio.workload`: `workload;namespace;service;revision;cluster` (Istio).
    Endpoint(&'a [u8]),
}

// === impl PeerView ===

impl<'a> PeerView<'a> {
    /// A property.
    pub fn get(self, field: Field) -> &'a [u8] {
        match self {
            PeerView::Unknown => b"",
            PeerView::Exchanged(peer) => peer.get(field),
            PeerView::FilterState(map) => lookup(map, field.name().as_bytes()),
            PeerView::Endpoint(text) => endpoint(text, field),
        }
    }

    /// A pod label; `id` is its place among the labels the exchange keeps, if it is one of them.
    pub fn label(self, name: &str, id: Option<LabelId>) -> &'a [u8] {
        match self {
            PeerView::Unknown | PeerView::Endpoint(_) => b"",
            PeerView::Exchanged(peer) => id.map(|id| peer.label(id)).unwrap_or_default(),
            PeerView::FilterState(map) => lookup(lookup(map, b"labels"), name.as_bytes()),
        }
    }

    /// Whether anybody told anything.
    pub fn is_known(self) -> bool {
        !matches!(self, PeerView::Unknown)
    }

    /// This view, or `other` when nobody told.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.is_known() { self } else { other }
    }

    /// The proxy's own knowledge; an empty value is none.
    pub fn filter_state(map: &'a [u8]) -> Self {
        if map.is_empty() { PeerView::Unknown } else { PeerView::FilterState(map) }
    }

    /// The endpoint's metadata; fewer than five parts are none.
    pub fn endpoint(text: &'a [u8]) -> Self {
        let parts = text.split(|b| *b == b';').count();
        if parts < 5 { PeerView::Unknown } else { PeerView::Endpoint(text) }
    }
}

fn lookup<'a>(map: &'a [u8], key: &[u8]) -> &'a [u8] {
    Pairs::parse(map).and_then(|pairs| pairs.get(key)).unwrap_or_default()
}

fn endpoint(text: &[u8], field: Field) -> &[u8] {
    let place = match field {
        Field::Workload => 0,
        Field::Namespace => 1,
        Field::Service => 2,
        Field::Revision => 3,
        Field::Cluster => 4,
        _ => return b"",
    };
    text.split(|b| *b == b';').nth(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_tells_five_properties() {
        let view = PeerView::endpoint(b"ratings-v1;default;ratings;;Kubernetes");
        assert_eq!(view.get(Field::Workload), b"ratings-v1");
        assert_eq!(view.get(Field::Namespace), b"default");
        assert_eq!(view.get(Field::Service), b"ratings");
        assert_eq!(view.get(Field::Revision), b"");
        assert_eq!(view.get(Field::Cluster), b"Kubernetes");
        assert_eq!(view.get(Field::App), b"");
    }

    #[test]
    fn fewer_than_five_parts_tell_nothing() {
        assert!(!PeerView::endpoint(b"ratings-v1;default;ratings;v1").is_known());
        assert!(!PeerView::endpoint(b"").is_known());
        assert!(PeerView::endpoint(b";;;;").is_known());
    }

    #[test]
    fn filter_state_is_a_map_with_labels_inside() {
        let labels = b"\x01\0\0\0\x04\0\0\0\x01\0\0\0role\0x\0";
        let mut map =
            b"\x02\0\0\0\x08\0\0\0\x02\0\0\0\x06\0\0\0\x13\0\0\0workload\0ab\0labels\0".to_vec();
        map.extend(labels);
        map.push(0);
        let view = PeerView::filter_state(&map);
        assert_eq!(view.get(Field::Workload), b"ab");
        assert_eq!(view.label("role", None), b"x");
        assert_eq!(view.label("team", None), b"");
        assert!(!PeerView::filter_state(b"").is_known());
    }
}

//! Names that this module answers itself: derived attributes, and peers.

use crate::peer::{Field, LabelId, LabelNames};

/// What is known by name while configuring.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Derived attributes.
    pub attributes: &'a [String],
    /// Pod labels of peers that the exchange keeps.
    pub labels: &'a LabelNames,
}

/// A property of a peer, as Istio's filter state names it: `filter_state.upstream_peer.labels['role']`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPath {
    /// Which peer.
    pub side: Side,
    /// Which property.
    pub property: PeerProperty,
}

/// Which peer of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Downstream,
    /// The upstream.
    Upstream,
}

/// A property of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerProperty {
    /// One that every peer has.
    Field(Field),
    /// A pod label, and its place among those that are kept.
    Label(String, Option<LabelId>),
}

// === impl Names ===

impl Names<'_> {
    /// `NAME`, `filter_state['wasm.NAME']` or `filter_state["wasm.NAME"]` of a derived attribute.
    pub fn attribute(&self, text: &str) -> Option<usize> {
        let text = text.trim();
        let name = match text.strip_prefix("filter_state") {
            Some(rest) => match segment(rest)? {
                (key, "") => key.strip_prefix("wasm.")?,
                _ => return None,
            },
            None => text,
        };
        self.attributes.iter().position(|known| known == name)
    }

    /// `filter_state.SIDE_peer.FIELD` or `filter_state.SIDE_peer.labels['NAME']`, each step by a dot or in brackets.
    pub fn peer(&self, text: &str) -> Option<PeerPath> {
        let (side, field, label) = peer_steps(text)?;
        let property = match label {
            None => PeerProperty::Field(Field::named(field.as_bytes())?),
            Some(name) => PeerProperty::Label(name.to_owned(), self.labels.id(name.as_bytes())),
        };
        Some(PeerPath { side, property })
    }
}

/// The pod label of a peer that an expression reads.
pub fn peer_label(text: &str) -> Option<&str> {
    peer_steps(text)?.2
}

fn peer_steps(text: &str) -> Option<(Side, &str, Option<&str>)> {
    let (peer, rest) = segment(text.trim().strip_prefix("filter_state")?)?;
    let side = match peer {
        "downstream_peer" => Side::Downstream,
        "upstream_peer" => Side::Upstream,
        _ => return None,
    };
    let (field, rest) = segment(rest)?;
    if field != "labels" {
        return rest.is_empty().then_some((side, field, None));
    }
    let (label, rest) = segment(rest)?;
    rest.is_empty().then_some((side, field, Some(label)))
}

/// The first step of a path, `.NAME` or `['NAME']`, and what follows.
fn segment(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return rest.split_at_checked(end).filter(|(name, _)| !name.is_empty());
    }
    let inner = text.strip_prefix('[')?.trim_start();
    let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, rest) = inner.strip_prefix(quote)?.split_once(quote)?;
    let rest = rest.trim_start().strip_prefix(']')?;
    (!name.contains('\\')).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(test: impl FnOnce(Names<'_>) -> T) -> T {
        let attributes = ["other".to_owned(), "op".to_owned()];
        let labels = LabelNames::new(["role"]);
        test(Names { attributes: &attributes, labels: &labels })
    }

    #[test]
    fn derived_attributes_are_known_by_three_spellings() {
        with(|names| {
            for text in [
                "op",
                " op ",
                "filter_state['wasm.op']",
                "filter_state[\"wasm.op\"]",
                "filter_state[ 'wasm.op' ]",
            ] {
                assert_eq!(names.attribute(text), Some(1), "{text}");
            }
            for text in [
                "op2",
                "filter_state['op']",
                "filter_state['wasm.op\"]",
                "filter_state['wasm.op'] + 'x'",
                "filter_state.op",
            ] {
                assert_eq!(names.attribute(text), None, "{text}");
            }
        });
    }

    #[test]
    fn peers_are_known_by_the_names_of_istios_filter_state() {
        with(|names| {
            let workload = |side| PeerPath { side, property: PeerProperty::Field(Field::Workload) };
            for text in [
                "filter_state.upstream_peer.workload",
                "filter_state['upstream_peer'].workload",
                "filter_state.upstream_peer['workload']",
            ] {
                assert_eq!(names.peer(text), Some(workload(Side::Upstream)), "{text}");
            }
            let path = names.peer("filter_state.downstream_peer.workload");
            assert_eq!(path, Some(workload(Side::Downstream)));
        });
    }

    #[test]
    fn pod_labels_are_read_whether_kept_or_not() {
        with(|names| {
            for (text, name) in [
                ("filter_state.upstream_peer.labels['role']", "role"),
                ("filter_state.upstream_peer.labels.team", "team"),
                ("filter_state.upstream_peer.labels['a.b/c']", "a.b/c"),
            ] {
                let id = names.labels.id(name.as_bytes());
                let property = PeerProperty::Label(name.to_owned(), id);
                assert_eq!(names.peer(text), Some(PeerPath { side: Side::Upstream, property }));
                assert_eq!(peer_label(text), Some(name));
            }
        });
    }

    #[test]
    fn anything_more_is_left_to_the_host() {
        with(|names| {
            for text in [
                "filter_state.upstream_peer",
                "filter_state.upstream_peer.nothing",
                "filter_state.upstream_peer.labels",
                "filter_state.upstream_peer.workload + 'x'",
                "filter_state.other_peer.workload",
                "filter_state.upstream_peer.labels['a\\'b']",
            ] {
                assert_eq!(names.peer(text), None, "{text}");
            }
        });
    }
}

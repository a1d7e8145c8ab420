//! Names that this module answers itself: derived attributes, and peers.

use crate::peer::{Field, LabelId, LabelNames};

/// What is known by name while configuring.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Derived attributes.
    pub attributes: &'a [String],
    /// Pod labels of peers that the exchange keeps.
    pub labels: &'a LabelNames,
    /// Whether peers may be known by this module's own exchange.
    pub exchange: bool,
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

/// Which peers an expression of the host reads as this module publishes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersRead {
    /// The client.
    pub downstream: bool,
    /// The upstream.
    pub upstream: bool,
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

// === impl Side ===

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Downstream, Side::Upstream];

    /// Key of Istio's filter state, and name under which this module publishes the peer.
    pub fn key(self) -> &'static str {
        match self {
            Side::Downstream => "downstream_peer",
            Side::Upstream => "upstream_peer",
        }
    }
}

// === impl PeersRead ===

impl PeersRead {
    /// What either reads.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            downstream: self.downstream || other.downstream,
            upstream: self.upstream || other.upstream,
        }
    }

    /// Whether one of them is read.
    pub fn reads(self, side: Side) -> bool {
        match side {
            Side::Downstream => self.downstream,
            Side::Upstream => self.upstream,
        }
    }
}

/// The expression with each peer of Istio's filter state replaced by the one this module has published, if it has; and
/// which peers that are. In any spelling: a dot, or brackets with either quote.
pub(super) fn with_published_peers(text: &str) -> (String, PeersRead) {
    let (mut text, mut read) = (text.to_owned(), PeersRead::default());
    for side in Side::ALL {
        let replaced = replace_peer(&text, side.key());
        let found = replaced != text;
        match side {
            Side::Downstream => read.downstream = found,
            Side::Upstream => read.upstream = found,
        }
        text = replaced;
    }
    (text, read)
}

fn replace_peer(text: &str, key: &str) -> String {
    const STATE: &str = "filter_state";
    let published = format!("('wasm.{key}' in {STATE} ? {STATE}['wasm.{key}'] : {STATE}['{key}'])");
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(STATE) {
        let (before, from) = rest.split_at(at);
        let after = from.strip_prefix(STATE).unwrap_or_default();
        out.push_str(before);
        match segment(after) {
            Some((name, tail)) if name == key => {
                out.push_str(&published);
                rest = tail;
            }
            _ => {
                out.push_str(STATE);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
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
        test(Names { attributes: &attributes, labels: &labels, exchange: true })
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

    #[test]
    fn the_host_is_given_the_peers_that_are_published() {
        let published = |key: &str| {
            format!(
                "('wasm.{key}' in filter_state ? filter_state['wasm.{key}'] : filter_state['{key}'])"
            )
        };
        let (up, down) = (published("upstream_peer"), published("downstream_peer"));
        let both = PeersRead { downstream: true, upstream: true };
        for (text, expected, read) in [
            (
                "filter_state.upstream_peer.workload + 'x'",
                format!("{up}.workload + 'x'"),
                PeersRead { upstream: true, ..PeersRead::default() },
            ),
            (
                "filter_state['upstream_peer'].app == filter_state[\"downstream_peer\"].app",
                format!("{up}.app == {down}.app"),
                both,
            ),
            (
                "filter_state.upstream_peer_obj",
                "filter_state.upstream_peer_obj".to_owned(),
                PeersRead::default(),
            ),
            (
                "filter_state['x'] + 'filter_state'",
                "filter_state['x'] + 'filter_state'".to_owned(),
                PeersRead::default(),
            ),
        ] {
            assert_eq!(with_published_peers(text), (expected, read), "{text}");
        }
    }
}

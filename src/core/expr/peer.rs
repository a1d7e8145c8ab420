//! Peers of a stream, as Istio's filter state names them: `filter_state.upstream_peer.workload`.

/// Which peer of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

//! When the exchange headers are read, removed and added.
//!
//! | listener | request | response |
//! |---|---|---|
//! | inbound | read and remove | add each header whose counterpart came with the request |
//! | outbound | add both | read and remove |
//! | unspecified (gateway) | read and remove, then add both | read and remove, then add as inbound |
//!
//! The rows are those of Istio's `metadata_exchange` plugin and of Envoy's `peer_metadata` filter as Istio configures
//! it. To add means to replace what is there, so a workload cannot speak for its sidecar.

/// Envoy's `listener_direction` of the listener a stream came through (`envoy.config.core.v3.TrafficDirection`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Neither: a gateway, or a bootstrap that does not say.
    #[default]
    Unspecified,
    /// Toward the workload beside the proxy.
    Inbound,
    /// From the workload beside the proxy.
    Outbound,
}

/// Which headers a request brought. An empty header counts as not received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// `x-envoy-peer-metadata-id`.
    pub id: bool,
    /// `x-envoy-peer-metadata`.
    pub metadata: bool,
}

/// What the cluster of a stream says about the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// Name of the cluster.
    pub name: &'a [u8],
    /// Cluster metadata `istio.external`: outside the mesh.
    pub external: bool,
    /// Cluster metadata `istio.disable_mx`: every endpoint exchanges metadata some other way.
    pub disable_mx: bool,
}

/// What to do with the headers of one message, removal first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Read both headers as the peer's, then remove both.
    pub read_and_remove: bool,
    /// Set `x-envoy-peer-metadata-id`.
    pub add_id: bool,
    /// Set `x-envoy-peer-metadata`.
    pub add_metadata: bool,
}

// === impl Direction ===

impl Direction {
    /// From the number of the attribute `listener_direction` (Envoy docs: attributes); an unknown number counts as 0.
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Direction::Inbound,
            2 => Direction::Outbound,
            _ => Direction::Unspecified,
        }
    }

    /// What to do with a request on its way to `cluster`; `None` if no cluster is known yet, which skips nothing.
    ///
    /// `skip_external` keeps the headers inside the mesh (Istio `proxyHeaders.metadataExchangeHeaders.mode: IN_MESH`).
    pub fn on_request(self, skip_external: bool, cluster: Option<Cluster<'_>>) -> Step {
        let skip = cluster.is_some_and(|c| c.disable_mx || skip_external && c.is_external());
        let add = self != Direction::Inbound && !skip;
        Step { read_and_remove: self != Direction::Outbound, add_id: add, add_metadata: add }
    }

    /// What to do with the response to a request that brought `received`. Whether the cluster is external does not
    /// matter here: the headers go back to whoever sent some.
    pub fn on_response(self, received: Received, cluster: Option<Cluster<'_>>) -> Step {
        let skip = cluster.is_some_and(|c| c.disable_mx);
        let add = self != Direction::Outbound && !skip;
        Step {
            read_and_remove: self != Direction::Inbound,
            add_id: add && received.id,
            add_metadata: add && received.metadata,
        }
    }
}

// === impl Received ===

impl Received {
    /// From the header values; a header that is not there is an empty slice.
    pub fn of(id: &[u8], metadata: &[u8]) -> Self {
        Self { id: !id.is_empty(), metadata: !metadata.is_empty() }
    }
}

// === impl Cluster ===

impl Cluster<'_> {
    fn is_external(self) -> bool {
        self.external || self.name == b"PassthroughCluster"
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Inbound, Outbound, Unspecified};
    use super::*;

    /// `r` read and remove, `i` add the id, `m` add the metadata.
    #[track_caller]
    fn is(step: Step, expected: &str) {
        let mut found = String::new();
        found.extend(step.read_and_remove.then_some('r'));
        found.extend(step.add_id.then_some('i'));
        found.extend(step.add_metadata.then_some('m'));
        assert_eq!(found, expected);
    }

    const NONE: Received = Received { id: false, metadata: false };

    #[test]
    fn requests() {
        is(Inbound.on_request(false, None), "r");
        is(Outbound.on_request(false, None), "im");
        is(Unspecified.on_request(false, None), "rim");
    }

    #[test]
    fn responses() {
        let id = Received { id: true, ..NONE };
        let metadata = Received { metadata: true, ..NONE };
        let both = Received::of(b"sidecar~1", b"CgA=");
        is(Inbound.on_response(NONE, None), "");
        is(Inbound.on_response(id, None), "i");
        is(Inbound.on_response(metadata, None), "m");
        is(Inbound.on_response(both, None), "im");
        is(Outbound.on_response(NONE, None), "r");
        is(Outbound.on_response(both, None), "r");
        is(Unspecified.on_response(NONE, None), "r");
        is(Unspecified.on_response(id, None), "ri");
        is(Unspecified.on_response(metadata, None), "rm");
        is(Unspecified.on_response(both, None), "rim");
    }

    #[test]
    fn an_empty_header_was_not_received() {
        assert_eq!(Received::of(b"", b""), NONE);
        assert_eq!(Received::of(b"x", b""), Received { id: true, ..NONE });
        assert!(Received::of(b"", b"x").metadata);
    }

    #[test]
    fn external_clusters_are_skipped_on_request_if_asked() {
        let passthrough = Some(Cluster { name: b"PassthroughCluster", ..Cluster::default() });
        let external =
            Some(Cluster { name: b"outbound|443||example.com", external: true, disable_mx: false });
        let internal = Some(Cluster { name: b"outbound|80||web", ..Cluster::default() });
        for cluster in [passthrough, external] {
            is(Outbound.on_request(true, cluster), "");
            is(Unspecified.on_request(true, cluster), "r");
            is(Inbound.on_request(true, cluster), "r");
            is(Outbound.on_request(false, cluster), "im");
            is(Inbound.on_response(Received::of(b"i", b"m"), cluster), "im");
        }
        is(Outbound.on_request(true, internal), "im");
        is(Outbound.on_request(true, None), "im");
    }

    #[test]
    fn disable_mx_stops_adding_but_not_reading() {
        let disabled =
            Some(Cluster { name: b"outbound|80||web", external: false, disable_mx: true });
        let both = Received::of(b"i", b"m");
        for skip_external in [false, true] {
            is(Outbound.on_request(skip_external, disabled), "");
            is(Unspecified.on_request(skip_external, disabled), "r");
            is(Inbound.on_request(skip_external, disabled), "r");
        }
        is(Inbound.on_response(both, disabled), "");
        is(Unspecified.on_response(both, disabled), "r");
        is(Outbound.on_response(both, disabled), "r");
    }

    #[test]
    fn directions_are_envoys_numbers() {
        let found = [-1, 0, 1, 2, 3].map(Direction::from_number);
        let expected = [Unspecified, Unspecified, Inbound, Outbound, Unspecified];
        assert_eq!(found, expected);
    }
}

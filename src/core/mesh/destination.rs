//! Which service a request was for (Istio stats: destination service resolution).

use super::or;
use crate::attribute::{Fact, Facts};

/// The destination service as the proxy knows it; an empty field is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination<'a> {
    /// Host of the service, or the request's Host header verbatim.
    pub service: &'a [u8],
    /// Short name.
    pub name: &'a [u8],
    /// Namespace, from cluster metadata only.
    pub namespace: &'a [u8],
}

/// Clusters that stand for "no service": their name is the service name.
const CATCH_ALL_CLUSTERS: [&[u8]; 5] = [
    b"BlackHoleCluster",
    b"PassthroughCluster",
    b"InboundPassthroughCluster",
    b"InboundPassthroughClusterIpv4",
    b"InboundPassthroughClusterIpv6",
];

// === impl Destination ===

impl<'a> Destination<'a> {
    /// Resolves from the route name, the cluster name, the cluster's metadata, and the Host header unless `no_fallback`.
    pub fn resolve(facts: &Facts<'a>, no_fallback: bool) -> Self {
        let host = if no_fallback { &b""[..] } else { facts.bytes(Fact::Host) };
        let by_host = Self { service: host, name: host, namespace: b"" };
        if let Some(name) = Self::catch_all(facts) {
            return Self { name, ..by_host };
        }
        let service = facts.field(Fact::ClusterService, b"host");
        if service.is_empty() {
            return by_host;
        }
        let first_label = service.split(|b| *b == b'.').next().unwrap_or_default();
        Self {
            service,
            name: or(facts.field(Fact::ClusterService, b"name"), first_label),
            namespace: facts.field(Fact::ClusterService, b"namespace"),
        }
    }

    fn catch_all(facts: &Facts<'a>) -> Option<&'a [u8]> {
        match facts.bytes(Fact::RouteName) {
            b"block_all" => return Some(b"BlackHoleCluster"),
            b"allow_any" => return Some(b"PassthroughCluster"),
            _ => {}
        }
        let cluster = facts.bytes(Fact::ClusterName);
        CATCH_ALL_CLUSTERS.contains(&cluster).then_some(cluster)
    }
}

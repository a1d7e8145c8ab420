//! What this proxy sends in the metadata exchange, rendered once per configuration.

use crate::attribute::{Fact, Query};
use crate::config::MetadataExchange;
use crate::peer::LabelNames;
use crate::peer::header::{LocalNode, encode};
use crate::port::Host;

/// Metadata exchange by HTTP headers.
#[derive(Debug)]
pub(crate) struct ExchangePlan {
    /// Value of `x-envoy-peer-metadata-id`: the proxy's node id.
    pub id: Vec<u8>,
    /// Value of `x-envoy-peer-metadata`.
    pub metadata: Vec<u8>,
    /// Most peers kept decoded.
    pub max_peers: usize,
    /// Whether nothing is sent to services outside the mesh.
    pub skip_external: bool,
    /// Whether the client may be told by `baggage`, as ambient proxies tell waypoints.
    pub baggage: bool,
}

/// Pod labels the metadata may carry beside the additional ones.
const STANDARD_LABELS: [&str; 6] = [
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "app",
    "app.kubernetes.io/name",
    "version",
    "app.kubernetes.io/version",
];

// === impl ExchangePlan ===

impl ExchangePlan {
    /// What clusters tell about it, remembered by their name.
    pub const OF_CLUSTER: &[Fact] = &[Fact::ClusterExternal, Fact::ClusterDisablesExchange];

    pub fn new(config: &MetadataExchange, waypoint: bool, host: &mut impl Host) -> Self {
        let additional = LabelNames::new(&config.additional_labels);
        let id = host.node(&["id"]).unwrap_or_default();
        Self {
            id,
            metadata: metadata(config, &additional, host),
            max_peers: config.max_peers,
            skip_external: config.skip_external,
            baggage: waypoint,
        }
    }

    /// What has to be known of a stream to decide about its headers, and if wanted the host to be remembered.
    pub fn query(remembers_host: bool, host: &mut impl Host) -> Query {
        let mut facts = vec![Fact::ListenerDirection, Fact::ClusterName];
        facts.extend(remembers_host.then_some(Fact::GrpcHost));
        Query::compile(&facts, host)
    }
}

fn metadata(config: &MetadataExchange, additional: &LabelNames, host: &mut impl Host) -> Vec<u8> {
    let names = STANDARD_LABELS
        .into_iter()
        .chain(config.additional_labels.iter().map(String::as_str))
        .collect::<Vec<&str>>();
    let labels: Vec<(&[u8], Vec<u8>)> = names
        .iter()
        .filter_map(|name| Some((name.as_bytes(), host.node(&["metadata", "LABELS", name])?)))
        .collect();
    let labels: Vec<(&[u8], &[u8])> = labels.iter().map(|(n, v)| (*n, v.as_slice())).collect();
    let mut own = |name: &str| host.node(&["metadata", name]).unwrap_or_default();
    let (name, namespace, owner) = (own("NAME"), own("NAMESPACE"), own("OWNER"));
    let (workload, cluster) = (own("WORKLOAD_NAME"), own("CLUSTER_ID"));
    let (identity, region) = (own("IDENTITY"), own("REGION"));
    let zone = own("AVAILABILITY_ZONE");
    let mut locality = |told: Vec<u8>, part: &str| {
        if told.is_empty() { host.node(&["locality", part]).unwrap_or_default() } else { told }
    };
    let (region, zone) = (locality(region, "region"), locality(zone, "zone"));
    let node = LocalNode {
        name: &name,
        namespace: &namespace,
        owner: &owner,
        workload: &workload,
        cluster: &cluster,
        identity: &identity,
        region: &region,
        availability_zone: &zone,
        labels: &labels,
    };
    encode(&node, additional)
}

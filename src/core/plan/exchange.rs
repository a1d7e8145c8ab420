//! What this proxy sends in the metadata exchange, rendered once per configuration.

use crate::attribute::Fact;
use crate::config::MetadataExchange;
use crate::mesh::or;
use crate::peer::LabelNames;
use crate::peer::direction::Step;
use crate::peer::header::{ID_HEADER, LocalNode, METADATA_HEADER, encode};
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

/// What the metadata is made of beside labels; the last two stand in for region and zone.
const OWN: [&[&str]; 10] = [
    &["metadata", "NAME"],
    &["metadata", "NAMESPACE"],
    &["metadata", "OWNER"],
    &["metadata", "WORKLOAD_NAME"],
    &["metadata", "CLUSTER_ID"],
    &["metadata", "IDENTITY"],
    &["metadata", "REGION"],
    &["metadata", "AVAILABILITY_ZONE"],
    &["locality", "region"],
    &["locality", "zone"],
];

// === impl ExchangePlan ===

impl ExchangePlan {
    /// Bytes of the headers that a step adds.
    pub fn added(&self, step: Step) -> u64 {
        let header = |adds: bool, name: &str, value: &[u8]| {
            let bytes = if adds { name.len().saturating_add(value.len()) } else { 0 };
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let id = header(step.add_id, ID_HEADER, &self.id);
        id.saturating_add(header(step.add_metadata, METADATA_HEADER, &self.metadata))
    }

    /// What clusters tell about it, remembered by their name.
    pub const OF_CLUSTER: &[Fact] = &[Fact::ClusterExternal, Fact::ClusterDisablesExchange];

    pub fn new(config: &MetadataExchange, waypoint: bool, host: &mut impl Host) -> Self {
        let additional = LabelNames::new(
            config.additional_labels.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let id = host.node(&["id"]).unwrap_or_default();
        Self {
            id,
            metadata: metadata(config, &additional, host),
            max_peers: config.max_peers,
            skip_external: config.skip_external,
            baggage: waypoint,
        }
    }
}

fn metadata(config: &MetadataExchange, additional: &LabelNames, host: &mut impl Host) -> Vec<u8> {
    let mut values: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut add = |name, path: &[&str]| values.extend(host.node(path).map(|value| (name, value)));
    for name in STANDARD_LABELS {
        add(name, &["metadata", "LABELS", name]);
    }
    for name in &config.additional_labels {
        add(name, &["metadata", "LABELS", name]);
    }
    let labels: Vec<(&[u8], &[u8])> =
        values.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
    let own = OWN.map(|path| host.node(path).unwrap_or_default());
    let [name, namespace, owner, workload, cluster, identity, region, zone, or_region, or_zone] =
        own.each_ref().map(Vec::as_slice);
    let node = LocalNode {
        name,
        namespace,
        owner,
        workload,
        cluster,
        identity,
        region: or(region, or_region),
        availability_zone: or(zone, or_zone),
        labels: &labels,
    };
    encode(&node, additional)
}

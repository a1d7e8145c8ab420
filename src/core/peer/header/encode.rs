//! From the proxy's own node to the header.

use super::super::protobuf::{struct_of, struct_value, text_value};
use super::super::{LabelNames, base64, owner};
use super::{label, prefer};

/// What the proxy knows of itself, `node.metadata` of its bootstrap; empty means not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalNode<'a> {
    /// `NAME`, the pod.
    pub name: &'a [u8],
    /// `NAMESPACE`.
    pub namespace: &'a [u8],
    /// `OWNER`; sent only if it tells a known kind of workload, and then in Istio's own form.
    pub owner: &'a [u8],
    /// `WORKLOAD_NAME`.
    pub workload: &'a [u8],
    /// `CLUSTER_ID`.
    pub cluster: &'a [u8],
    /// `IDENTITY`.
    pub identity: &'a [u8],
    /// `REGION`, else the region of `node.locality`.
    pub region: &'a [u8],
    /// `AVAILABILITY_ZONE`, else the zone of `node.locality`.
    pub availability_zone: &'a [u8],
    /// Pod labels, `LABELS`, as names and values; of a name that comes twice the last counts.
    pub labels: &'a [(&'a [u8], &'a [u8])],
}

/// The value of `x-envoy-peer-metadata` for `local`, byte for byte what a sidecar of current Istio sends: the compact
/// encoding, serialised deterministically, in padded base64.
///
/// `additional` names further pod labels to send; one the pod has is sent even if empty. The six labels with a
/// meaning of their own are never additional. App and version go under `app` and `version`, whichever label they
/// came from.
pub fn encode(local: &LocalNode<'_>, additional: &LabelNames) -> Vec<u8> {
    let owner = local.owner();
    let mut entries = texts([
        (&b"NAME"[..], local.name),
        (b"NAMESPACE", local.namespace),
        (b"WORKLOAD_NAME", local.workload),
        (b"CLUSTER_ID", local.cluster),
        (b"IDENTITY", local.identity),
        (b"OWNER", &owner),
        (b"REGION", local.region),
        (b"AVAILABILITY_ZONE", local.availability_zone),
    ]);
    let labels = struct_of(local.sent_labels(additional));
    entries.push((b"LABELS", struct_value(&labels)));
    base64::encode(&struct_of(entries))
}

// === impl LocalNode ===

impl<'a> LocalNode<'a> {
    fn owner(&self) -> Vec<u8> {
        match owner::workload_type(self.owner, self.workload) {
            [] => Vec::new(),
            kind => owner::owner(self.namespace, kind, self.workload),
        }
    }

    fn label(&self, name: &[u8]) -> Option<&'a [u8]> {
        let found = self.labels.iter().rfind(|(n, _)| *n == name);
        found.map(|(_, value)| *value)
    }

    fn sent_labels<'n>(&self, additional: &'n LabelNames) -> Vec<(&'n [u8], Vec<u8>)> {
        let value = |name| self.label(name).unwrap_or_default();
        let app = prefer(value(label::QUALIFIED_APP), value(label::APP));
        let version = prefer(value(label::QUALIFIED_VERSION), value(label::VERSION));
        let mut entries = texts([
            (label::CANONICAL_NAME, value(label::CANONICAL_NAME)),
            (label::CANONICAL_REVISION, value(label::CANONICAL_REVISION)),
            (label::APP, app),
            (label::VERSION, version),
        ]);
        let further = additional.iter().filter(|name| !label::ALL.contains(name));
        let further = further.filter_map(|name| Some((name, text_value(self.label(name)?))));
        entries.extend(further);
        entries
    }
}

fn texts<'k, const N: usize>(entries: [(&'k [u8], &[u8]); N]) -> Vec<(&'k [u8], Vec<u8>)> {
    let present = entries.into_iter().filter(|(_, text)| !text.is_empty());
    present.map(|(key, text)| (key, text_value(text))).collect()
}

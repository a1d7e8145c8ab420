//! The workload on the other side.

/// What is known of the peer; an empty field is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Workload name.
    pub workload: &'a [u8],
    /// Kubernetes namespace.
    pub namespace: &'a [u8],
    /// Value of the `app` label.
    pub app: &'a [u8],
    /// Value of the `version` label.
    pub version: &'a [u8],
    /// Istio's canonical service.
    pub canonical_service: &'a [u8],
    /// Istio's canonical revision.
    pub canonical_revision: &'a [u8],
    /// Cluster the peer runs in.
    pub cluster: &'a [u8],
    /// SPIFFE identity.
    pub identity: &'a [u8],
}

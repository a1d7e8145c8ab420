//! The proxy's own workload, read from its node metadata once per configuration.

use super::{LATEST, UNKNOWN};
use crate::peer::Field;
use crate::port::Host;

/// Labels of the local workload; none is empty.
///
/// Istio's native filter leaves missing ones empty, which Prometheus takes for "no label" and Kiali then skips the
/// series; the rule here is that of Istio's Wasm plugins: `unknown`, and `latest` for the revision.
#[derive(Debug)]
pub struct LocalNode {
    /// `WORKLOAD_NAME`.
    pub workload: Vec<u8>,
    /// `NAMESPACE`.
    pub namespace: Vec<u8>,
    /// `LABELS[app]`.
    pub app: Vec<u8>,
    /// `LABELS[version]`.
    pub version: Vec<u8>,
    /// `LABELS[service.istio.io/canonical-name]`, else the workload.
    pub canonical_service: Vec<u8>,
    /// `LABELS[service.istio.io/canonical-revision]`.
    pub canonical_revision: Vec<u8>,
    /// `CLUSTER_ID`.
    pub cluster: Vec<u8>,
    /// `ISTIO_VERSION`.
    pub istio_version: Vec<u8>,
    /// Whether the bootstrap was written by Istio's agent, which alone sets `PROXY_CONFIG`.
    pub istio_bootstrap: bool,
}

// === impl LocalNode ===

impl LocalNode {
    /// Reads the node metadata.
    pub fn read(host: &mut impl Host) -> Self {
        let mut get = |path: &[&str], fallback: &[u8]| {
            let path = [&["metadata"], path].concat();
            host.node(&path).filter(|v| !v.is_empty()).unwrap_or_else(|| fallback.to_vec())
        };
        let workload = get(&["WORKLOAD_NAME"], UNKNOWN);
        Self {
            namespace: get(&["NAMESPACE"], UNKNOWN),
            app: get(&["LABELS", "app"], UNKNOWN),
            version: get(&["LABELS", "version"], UNKNOWN),
            canonical_service: get(&["LABELS", "service.istio.io/canonical-name"], &workload),
            canonical_revision: get(&["LABELS", "service.istio.io/canonical-revision"], LATEST),
            cluster: get(&["CLUSTER_ID"], UNKNOWN),
            istio_version: get(&["ISTIO_VERSION"], UNKNOWN),
            istio_bootstrap: !get(&["PROXY_CONFIG"], b"").is_empty(),
            workload,
        }
    }

    /// A property of this workload, as a peer would know it; empty for those that are no label.
    pub fn get(&self, field: Field) -> &[u8] {
        match field {
            Field::Workload => &self.workload,
            Field::Namespace => &self.namespace,
            Field::Cluster => &self.cluster,
            Field::Service => &self.canonical_service,
            Field::Revision => &self.canonical_revision,
            Field::App => &self.app,
            Field::Version => &self.version,
            _ => b"",
        }
    }
}

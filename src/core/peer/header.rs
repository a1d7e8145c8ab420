//! The header `x-envoy-peer-metadata`: base64 of a `google.protobuf.Struct` (Envoy `peer_metadata` filter).
//!
//! Two encodings are in use, and one reader takes both. Sidecars up to Istio 1.23 and the older Wasm plugin send all
//! of their node metadata (the full encoding), newer ones only what a receiver uses (the compact encoding), which is
//! what [`encode()`] writes:
//!
//! | key | full | compact | gives |
//! |---|---|---|---|
//! | `NAME`, `NAMESPACE`, `WORKLOAD_NAME`, `CLUSTER_ID` | always | if not empty | name, namespace, workload, cluster |
//! | `OWNER` | always | if the kind is known | type |
//! | `IDENTITY`, `REGION`, `AVAILABILITY_ZONE` | no | if not empty | the same |
//! | `LABELS` | every pod label | always, with the labels below | service, revision, app, version, labels |
//! | `ISTIO_VERSION`, `MESH_ID`, `APP_CONTAINERS` and any other | always | no | nothing |

mod decode;
mod encode;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub(super) use decode::decode_with;
pub use encode::{LocalNode, encode};

/// Header with the metadata.
pub const METADATA_HEADER: &str = "x-envoy-peer-metadata";

/// Header with the sender's Envoy node id.
pub const ID_HEADER: &str = "x-envoy-peer-metadata-id";

/// Longest metadata header that is decoded, in bytes. A full encoding is 1 to 4 KiB; Envoy itself takes up to 60 KiB
/// of headers, and decoding those would let one request buy a lot of work.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Pod labels with a meaning of their own.
mod label {
    pub(super) const CANONICAL_NAME: &[u8] = b"service.istio.io/canonical-name";
    pub(super) const CANONICAL_REVISION: &[u8] = b"service.istio.io/canonical-revision";
    pub(super) const APP: &[u8] = b"app";
    pub(super) const QUALIFIED_APP: &[u8] = b"app.kubernetes.io/name";
    pub(super) const VERSION: &[u8] = b"version";
    pub(super) const QUALIFIED_VERSION: &[u8] = b"app.kubernetes.io/version";

    /// All of them, in the order that `read_labels` takes them apart.
    pub(super) const ALL: [&[u8]; 6] =
        [CANONICAL_NAME, CANONICAL_REVISION, QUALIFIED_APP, APP, QUALIFIED_VERSION, VERSION];
}

/// The one of two labels that counts: the qualified one if it says anything.
fn prefer<'a>(qualified: &'a [u8], plain: &'a [u8]) -> &'a [u8] {
    if qualified.is_empty() { plain } else { qualified }
}

//! Who the proxy is, whom it talks to, and which service a request was for.

mod destination;
mod local;
mod peer;

pub use destination::Destination;
pub use local::LocalNode;
pub use peer::PeerView;

/// The value of an identity label nobody could tell.
pub const UNKNOWN: &[u8] = b"unknown";

/// The revision of a workload that names none (Istio's canonical revision).
pub const LATEST: &[u8] = b"latest";

/// `value`, or `fallback` when it is empty.
pub(crate) fn or<'a>(value: &'a [u8], fallback: &'a [u8]) -> &'a [u8] {
    if value.is_empty() { fallback } else { value }
}

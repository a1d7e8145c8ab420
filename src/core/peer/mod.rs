//! The peer of a stream: who sent it, or who answers it, as told by Istio's metadata exchange.
//!
//! ```text
//! x-envoy-peer-metadata -> cache -> header::decode (base64 -> protobuf) -> Peer
//! endpoint metadata istio.workload -> mesh::PeerView
//! baggage -> baggage -> Peer
//! certificate URI SAN -> spiffe -> namespace
//! LocalNode -> header::encode -> x-envoy-peer-metadata for the other side; direction says when
//! ```
//!
//! Everything read here comes from another machine, so every function is total: any bytes give a peer or an error,
//! in time linear in their length and memory bounded by named constants. The wire formats are those of Envoy's
//! `contrib/istio` filters (`peer_metadata`, `metadata_object`), which Istio's sidecars run.
//!
//! Base64 and protobuf are read by hand: the module this is built into is compiled by the proxy on its main thread,
//! so each kilobyte is start-up time, and one message of one shape does not pay for a general library.
//!
//! ```
//! use opmeter_core::peer::cache::{DEFAULT_MAX_PEERS, Lookup, PeerCache};
//! use opmeter_core::peer::header::{LocalNode, encode};
//! use opmeter_core::peer::{Field, LabelNames};
//!
//! let names = LabelNames::new(["role"]);
//! let sender = LocalNode {
//!     workload: b"reviews-v1",
//!     labels: &[(b"app", b"reviews"), (b"role", b"canary")],
//!     ..LocalNode::default()
//! };
//! let header = encode(&sender, &names);
//!
//! let role = names.id(b"role").unwrap();
//! let mut peers = PeerCache::new(DEFAULT_MAX_PEERS, names);
//! let peer = peers.get_or_decode(&header).peer().unwrap().clone();
//! assert_eq!(peer.get(Field::Workload), b"reviews-v1");
//! assert_eq!(peer.get(Field::App), b"reviews");
//! assert_eq!(peer.label(role), b"canary");
//! assert_eq!(peers.get_or_decode(&header), Lookup::Hit(peer));
//! ```
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod baggage;
mod base64;
pub mod cache;
pub mod direction;
mod error;
pub mod filter_state;
pub mod header;
mod labels;
mod node;
mod owner;
mod protobuf;
pub mod spiffe;

#[cfg(test)]
mod oracle;

pub use error::{Base64Error, DecodeError, StructError};
pub use labels::{LabelId, LabelNames};
pub use node::{Field, Peer, PeerFields};

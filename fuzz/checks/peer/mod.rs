//! Peers as the exchange's header tells of them, against the second opinions of the core's own tests and of a reader
//! that knows the documented rules and nothing else.

mod header;
mod naive;
#[path = "../../../src/core/peer/oracle.rs"]
mod oracle;
mod protobuf;

pub use header::peer_header;
pub use protobuf::protobuf;

// What the second opinion is written against.
use opmeter_core::peer::{Field, LabelNames, Peer};

/// Labels that are kept beside the standard ones; one of them is standard too.
fn names() -> LabelNames {
    LabelNames::new(["role", "app"])
}

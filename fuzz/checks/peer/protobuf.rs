//! Any bytes as a serialised `google.protobuf.Struct`.

use super::oracle::{self, properties_of};
use super::{naive, names};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opmeter_core::peer::header::decode;
use prost::Message;
use prost_types::Struct;

/// Any bytes: read as the plain reader reads them; and where prost reads a Struct in them, that Struct, written by
/// prost, is read as it is.
///
/// Prost is not asked about the bytes themselves: it merges a message field that comes twice, and knows groups.
pub fn protobuf(data: &[u8]) {
    let names = names();
    let peer = decode(STANDARD.encode(data).as_bytes(), &names);
    assert_eq!(peer.ok().map(|peer| properties_of(&peer, &names)), naive::read(data));
    if let Ok(message) = Struct::decode(data) {
        let peer = decode(&oracle::header(&message), &names).expect("what prost wrote");
        assert_eq!(properties_of(&peer, &names), oracle::properties(&message, &names));
    }
}

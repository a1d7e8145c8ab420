//! The string Istio's control plane puts on an endpoint, metadata `istio.workload` (Envoy `metadata_object`).

use super::{Field, Peer, PeerFields};

/// Parts in the order of the string.
const PARTS: [Field; 5] =
    [Field::Workload, Field::Namespace, Field::Service, Field::Revision, Field::Cluster];

/// The peer in `workload;namespace;canonical-service;canonical-revision;cluster-id`, `None` with fewer than five parts.
///
/// The revision is left empty when it is `latest`; app, version and the kind of workload are not told. Parts after
/// the fifth are ignored.
pub fn parse(text: &[u8]) -> Option<Peer> {
    let mut fields = PeerFields::default();
    let mut parts = text.split(|&b| b == b';');
    for field in PARTS {
        fields.set(field, parts.next()?);
    }
    Some(Peer::from(&fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn five_parts_make_a_peer() {
        let peer = parse(b"reviews-v1;default;reviews;v1;c1").unwrap();
        assert_eq!(peer.get(Field::Workload), b"reviews-v1");
        assert_eq!(peer.get(Field::Namespace), b"default");
        assert_eq!(peer.get(Field::Service), b"reviews");
        assert_eq!(peer.get(Field::Revision), b"v1");
        assert_eq!(peer.get(Field::Cluster), b"c1");
        assert_eq!(peer.get(Field::App), b"");
        assert_eq!(peer.get(Field::Type), b"");
    }

    #[test]
    fn empty_parts_are_absent_and_further_parts_ignored() {
        let peer = parse(b"w;ns;s;;c;more;still").unwrap();
        assert_eq!(peer.get(Field::Revision), b"");
        assert_eq!(peer.get(Field::Cluster), b"c");
        assert_eq!(parse(b";;;;"), Some(Peer::from(&PeerFields::default())));
    }

    #[test]
    fn fewer_parts_are_ignored() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"w;ns;s;r"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_peer_from_four_separators_on(
            text in prop::collection::vec(prop_oneof![Just(b';'), any::<u8>()], 0..60),
        ) {
            let separators = text.iter().filter(|&&b| b == b';').count();
            prop_assert_eq!(parse(&text).is_some(), separators >= 4);
        }
    }
}

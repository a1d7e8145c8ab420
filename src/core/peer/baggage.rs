//! The header `baggage`, by which ambient and waypoint proxies tell who they are (Envoy `metadata_object`).

use super::{Field, Peer, PeerFields, header::MAX_HEADER_BYTES, owner};

/// The peer in a comma list of `key=value`, `None` if there is no key of a peer in it or it is longer than
/// [`MAX_HEADER_BYTES`].
///
/// `k8s.deployment.name`, `.pod.`, `.job.` and `.cronjob.` give workload and type. `service.name` and `app.name` fill
/// in for each other when one is missing, `service.version` and `app.version` likewise. `k8s.namespace.name`,
/// `k8s.cluster.name`, `k8s.instance.name`, `cloud.region` and `cloud.availability_zone` give the rest. As Istio reads
/// it: no white space is trimmed, nothing is unescaped, a value ends at a second `=`, and a later key wins.
pub fn parse(text: &[u8]) -> Option<Peer> {
    if text.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut fields = PeerFields::default();
    let mut known = false;
    for member in text.split(|&b| b == b',') {
        let mut parts = member.split(|&b| b == b'=');
        let key = parts.next().unwrap_or_default();
        known |= set(&mut fields, key, parts.next().unwrap_or_default());
    }
    known.then(|| Peer::from(&fields))
}

/// Keys, their fields, and the field each fills in for.
const KEYS: [(&[u8], Field, Option<Field>); 9] = [
    (b"service.name", Field::Service, Some(Field::App)),
    (b"app.name", Field::App, Some(Field::Service)),
    (b"service.version", Field::Revision, Some(Field::Version)),
    (b"app.version", Field::Version, Some(Field::Revision)),
    (b"k8s.namespace.name", Field::Namespace, None),
    (b"k8s.cluster.name", Field::Cluster, None),
    (b"k8s.instance.name", Field::Name, None),
    (b"cloud.region", Field::Region, None),
    (b"cloud.availability_zone", Field::AvailabilityZone, None),
];

/// Whether `key` is one of a peer's.
fn set<'a>(fields: &mut PeerFields<'a>, key: &'a [u8], value: &'a [u8]) -> bool {
    if let Some((_, field, twin)) = KEYS.iter().find(|(k, ..)| *k == key) {
        fields.set(*field, value);
        if let Some(twin) = twin {
            fields.set_default(*twin, value);
        }
        return true;
    }
    let kind = workload_type(key);
    if !kind.is_empty() {
        fields.set(Field::Type, kind);
        fields.set(Field::Workload, value);
    }
    !kind.is_empty()
}

fn workload_type(key: &[u8]) -> &[u8] {
    let kind = key.strip_prefix(b"k8s.");
    let kind = kind.and_then(|rest| rest.strip_suffix(b".name"));
    kind.map_or(&[], owner::known_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn gives(text: &str, expected: &[(Field, &str)]) {
        let peer = parse(text.as_bytes()).unwrap();
        for field in Field::ALL {
            let want = expected.iter().find(|(f, _)| *f == field);
            let want = want.map_or("", |(_, value)| value);
            assert_eq!(String::from_utf8_lossy(peer.get(field)), want, "{field:?}");
        }
    }

    #[test]
    fn every_key_has_its_field() {
        gives(
            "k8s.deployment.name=w,service.name=s,app.name=a,service.version=r,app.version=v,k8s.namespace.name=ns,\
             k8s.cluster.name=c,k8s.instance.name=p,cloud.region=eu,cloud.availability_zone=eu-1",
            &[
                (Field::Workload, "w"),
                (Field::Type, "deployment"),
                (Field::Service, "s"),
                (Field::App, "a"),
                (Field::Revision, "r"),
                (Field::Version, "v"),
                (Field::Namespace, "ns"),
                (Field::Cluster, "c"),
                (Field::Name, "p"),
                (Field::Region, "eu"),
                (Field::AvailabilityZone, "eu-1"),
            ],
        );
    }

    #[test]
    fn the_key_of_the_workload_tells_its_type() {
        for kind in ["pod", "deployment", "job", "cronjob"] {
            let expected = [(Field::Workload, "w"), (Field::Type, kind)];
            gives(&format!("k8s.{kind}.name=w"), &expected);
        }
        assert_eq!(parse(b"k8s.statefulset.name=w"), None);
        assert_eq!(parse(b"k8s..name=w"), None);
    }

    #[test]
    fn service_and_app_fill_in_for_each_other() {
        gives(
            "service.name=s,service.version=r",
            &[
                (Field::Service, "s"),
                (Field::App, "s"),
                (Field::Revision, "r"),
                (Field::Version, "r"),
            ],
        );
        gives(
            "app.version=v,app.name=a",
            &[
                (Field::Service, "a"),
                (Field::App, "a"),
                (Field::Revision, "v"),
                (Field::Version, "v"),
            ],
        );
        gives("app.name=a,service.name=s", &[(Field::Service, "s"), (Field::App, "a")]);
    }

    #[test]
    fn reads_as_literally_as_istio() {
        gives("service.name=a=b,app.name=a%2Cb", &[(Field::Service, "a"), (Field::App, "a%2Cb")]);
        gives("cloud.region=one,cloud.region=two", &[(Field::Region, "two")]);
        gives("x=1, service.name=s,cloud.region", &[]);
        assert_eq!(parse(b"x=1, service.name=s"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_list_beyond_the_limit_is_not_read() {
        let mut text = b"cloud.region=".to_vec();
        text.resize(MAX_HEADER_BYTES, b'r');
        assert!(parse(&text).is_some());
        text.push(b'r');
        assert_eq!(parse(&text), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&text);
        }
    }
}

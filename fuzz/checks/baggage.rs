//! The header `baggage`: any bytes, against the rules of Istio's reader written down once more.

use opmeter_core::peer::header::MAX_HEADER_BYTES;
use opmeter_core::peer::{Field, baggage as reader};
use std::collections::BTreeMap;

/// Any bytes give the peer that a plain reading of the rules gives.
pub fn baggage(data: &[u8]) {
    let expected = read(data);
    let peer = reader::parse(data);
    assert_eq!(peer.is_some(), expected.is_some());
    let (Some(peer), Some(expected)) = (peer, expected) else { return };
    for field in Field::ALL {
        let value = expected.get(field.name()).copied().unwrap_or_default();
        assert_eq!(peer.get(field), value, "{}", field.name());
    }
}

fn read(text: &[u8]) -> Option<BTreeMap<&'static str, &[u8]>> {
    if text.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut fields = BTreeMap::new();
    for member in text.split(|byte| *byte == b',') {
        let parts: Vec<&[u8]> = member.split(|byte| *byte == b'=').collect();
        let value = parts.get(1).copied().unwrap_or_default();
        // The key's own field, and the one it stands in for while that is empty.
        let (own, twin) = match parts[0] {
            b"service.name" => ("service", Some("app")),
            b"app.name" => ("app", Some("service")),
            b"service.version" => ("revision", Some("version")),
            b"app.version" => ("version", Some("revision")),
            b"k8s.namespace.name" => ("namespace", None),
            b"k8s.cluster.name" => ("cluster", None),
            b"k8s.instance.name" => ("name", None),
            b"cloud.region" => ("region", None),
            b"cloud.availability_zone" => ("availability_zone", None),
            b"k8s.pod.name" | b"k8s.deployment.name" | b"k8s.job.name" | b"k8s.cronjob.name" => {
                let kind = &parts[0][b"k8s.".len()..parts[0].len() - b".name".len()];
                fields.insert("type", kind);
                ("workload", None)
            }
            _ => continue,
        };
        fields.insert(own, value);
        if let Some(twin) = twin
            && fields.get(twin).is_none_or(|value| value.is_empty())
        {
            fields.insert(twin, value);
        }
    }
    (!fields.is_empty()).then_some(fields)
}

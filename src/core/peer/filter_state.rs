//! A peer in the form of Istio's filter state, a `google.protobuf.Struct` with a field per property (Envoy
//! `metadata_object`): what the host's expressions read as `filter_state.upstream_peer`.

use super::protobuf::{struct_of, struct_value, text_value};
use super::{Field, LabelNames, Peer};

/// The Struct; properties that are not known are left out.
pub fn encode(peer: &Peer, labels: &LabelNames) -> Vec<u8> {
    let fields = Field::ALL.into_iter().map(|field| (field.name().as_bytes(), peer.get(field)));
    let mut entries = texts(fields);
    let kept = labels.iter().filter_map(|name| Some((name, peer.label(labels.id(name)?))));
    let labels = texts(kept);
    if !labels.is_empty() {
        entries.push((b"labels", struct_value(&struct_of(labels))));
    }
    struct_of(entries)
}

fn texts<'a>(properties: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(&'a [u8], Vec<u8>)> {
    let known = properties.filter(|(_, text)| !text.is_empty());
    known.map(|(name, text)| (name, text_value(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::header::{LocalNode, decode};
    use prost::Message;
    use prost_types::value::Kind;

    #[test]
    fn prost_reads_what_is_known() {
        let labels = LabelNames::new(["role", "team"]);
        let node = LocalNode {
            workload: b"reviews-v1",
            namespace: b"shop",
            labels: &[(b"app", b"reviews"), (b"role", b"canary")],
            ..LocalNode::default()
        };
        let header = crate::peer::header::encode(&node, &labels);
        let peer = decode(&header, &labels).unwrap();
        let read = prost_types::Struct::decode(&*encode(&peer, &labels)).unwrap();
        let text = |fields: &std::collections::BTreeMap<String, prost_types::Value>, name: &str| {
            match &fields.get(name)?.kind {
                Some(Kind::StringValue(text)) => Some(text.clone()),
                _ => None,
            }
        };
        assert_eq!(text(&read.fields, "workload").as_deref(), Some("reviews-v1"));
        assert_eq!(text(&read.fields, "namespace").as_deref(), Some("shop"));
        assert_eq!(text(&read.fields, "app").as_deref(), Some("reviews"));
        assert_eq!(text(&read.fields, "cluster"), None);
        let Some(Kind::StructValue(labels)) = &read.fields["labels"].kind else { panic!("labels") };
        assert_eq!(text(&labels.fields, "role").as_deref(), Some("canary"));
        assert_eq!(labels.fields.len(), 1);
    }
}

//! What holds for all headers, found out by random ones.

use super::{LocalNode, decode, encode};
use crate::peer::oracle::{self, nested, structure, text};
use crate::peer::{LabelNames, base64};
use proptest::prelude::*;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

fn known_key() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &[
        "NAME",
        "NAMESPACE",
        "OWNER",
        "WORKLOAD_NAME",
        "CLUSTER_ID",
        "IDENTITY",
        "REGION",
        "AVAILABILITY_ZONE",
        "LABELS",
        "ISTIO_VERSION",
        "app",
        "version",
        "role",
        "app.kubernetes.io/name",
        "app.kubernetes.io/version",
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision",
    ];
    prop::sample::select(KEYS).prop_map(str::to_owned)
}

fn short_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,8}",
        1 => "[a-z]{1,2}/(deployment|pod|job|cronjob|x)s/[a-z]{0,3}",
    ]
}

fn any_struct() -> impl Strategy<Value = Struct> {
    let leaf = prop_oneof![
        8 => short_text().prop_map(Kind::StringValue),
        1 => any::<bool>().prop_map(Kind::BoolValue),
        1 => any::<f64>().prop_map(Kind::NumberValue),
        1 => Just(Kind::NullValue(0)),
    ];
    let kind = leaf.prop_recursive(3, 40, 8, |inner| {
        let value = inner.prop_map(|kind| Value { kind: Some(kind) }).boxed();
        let fields = prop::collection::btree_map(known_key(), value.clone(), 0..8);
        let values = prop::collection::vec(value, 0..4);
        prop_oneof![
            3 => fields.prop_map(|fields| Kind::StructValue(Struct { fields })),
            1 => values.prop_map(|values| Kind::ListValue(ListValue { values })),
        ]
    });
    let value = prop::option::of(kind).prop_map(|kind| Value { kind });
    let key = prop_oneof![8 => known_key(), 1 => "\\PC{0,5}"];
    prop::collection::btree_map(key, value, 0..12).prop_map(|fields| Struct { fields })
}

proptest! {
    #[test]
    fn any_bytes_give_a_peer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let names = LabelNames::new(["role"]);
        let _ = decode(&bytes, &names);
        let _ = decode(&base64::encode(&bytes), &names);
    }

    #[test]
    fn any_struct_is_read_as_prost_reads_it(message in any_struct()) {
        let names = LabelNames::new(["role", "app"]);
        let peer = decode(&oracle::header(&message), &names).unwrap();
        prop_assert_eq!(oracle::properties_of(&peer, &names), oracle::properties(&message, &names));
    }

    #[test]
    fn a_struct_cut_short_is_read_as_prost_reads_it(message in any_struct(), cut in any::<prop::sample::Index>()) {
        let names = LabelNames::new(["role", "app"]);
        let mut bytes = message.encode_to_vec();
        bytes.push(0);
        bytes.truncate(cut.index(bytes.len()));
        let header = base64::encode(&bytes);
        let ours = decode(&header, &names).ok();
        let ours = ours.map(|peer| oracle::properties_of(&peer, &names));
        prop_assert_eq!(ours, oracle::read(&header, &names));
    }

    #[test]
    fn a_damaged_struct_gives_a_peer_or_an_error(
        message in any_struct(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = message.encode_to_vec();
        bytes.push(0);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let names = LabelNames::new(["role", "app"]);
        let _ = decode(&base64::encode(&bytes), &names);
    }

    #[test]
    fn what_is_written_is_read_back(
        plain in prop::array::uniform7("[a-zA-Z0-9é/:-]{0,12}"),
        kind in prop::sample::select(&["pod", "deployment", "job", "cronjob", "daemonset"][..]),
        labels in prop::collection::btree_map(known_key(), "\\PC{0,8}", 0..10),
    ) {
        let [name, namespace, workload, cluster, identity, region, zone] = &plain;
        let owner = format!("kubernetes://apis/apps/v1/namespaces/{namespace}/{kind}s/{workload}");
        let pairs: Vec<_> = labels.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
        let local = LocalNode {
            name: name.as_bytes(),
            namespace: namespace.as_bytes(),
            owner: owner.as_bytes(),
            workload: workload.as_bytes(),
            cluster: cluster.as_bytes(),
            identity: identity.as_bytes(),
            region: region.as_bytes(),
            availability_zone: zone.as_bytes(),
            labels: &pairs,
        };
        let names = LabelNames::new(["role", "REGION"]);
        let header = encode(&local, &names);
        // The full encoding of the same node says the same.
        let full = structure([
            ("NAME", text(name)),
            ("NAMESPACE", text(namespace)),
            ("OWNER", text(&owner)),
            ("WORKLOAD_NAME", text(workload)),
            ("CLUSTER_ID", text(cluster)),
            ("IDENTITY", text(identity)),
            ("REGION", text(region)),
            ("AVAILABILITY_ZONE", text(zone)),
            ("LABELS", nested(structure(labels.iter().map(|(k, v)| (k.as_str(), text(v)))))),
        ]);
        let peer = decode(&header, &names).unwrap();
        prop_assert_eq!(oracle::properties_of(&peer, &names), oracle::properties(&full, &names));
        prop_assert_eq!(oracle::read(&header, &names).unwrap(), oracle::properties(&full, &names));
        // A deterministic encoder gives the same bytes for what was read.
        let bytes = ::base64::Engine::decode(&::base64::engine::general_purpose::STANDARD, &header).unwrap();
        prop_assert_eq!(Struct::decode(bytes.as_slice()).unwrap().encode_to_vec(), bytes);
    }
}

use super::*;
use crate::peer::oracle::{self, Properties, nested, structure, text};
use crate::peer::{Base64Error, DecodeError, LabelNames, Peer, StructError, base64};
use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind;

/// Compact encoding of a node that has a namespace and nothing else.
const COMPACT_SMALL: &[u8] = b"\
    \x0a\x0c\x0a\x06LABELS\x12\x02\x2a\x00\
    \x0a\x11\x0a\x09NAMESPACE\x12\x04\x1a\x02ns";

/// Compact encoding of [`full_node`], which has everything, with the additional label `role`.
const COMPACT_LARGE: &[u8] = b"\
    \x0a\x19\x0a\x11AVAILABILITY_ZONE\x12\x04\x1a\x02z1\
    \x0a\x12\x0a\x0aCLUSTER_ID\x12\x04\x1a\x02c1\
    \x0a\x24\x0a\x08IDENTITY\x12\x18\x1a\x16spiffe://td/ns/ns/sa/s\
    \x0a\x8b\x01\x0a\x06LABELS\x12\x80\x01\x2a\x7e\
        \x0a\x0a\x0a\x03app\x12\x03\x1a\x01a\
        \x0a\x0a\x0a\x04role\x12\x02\x1a\x00\
        \x0a\x26\x0a\x1fservice.istio.io/canonical-name\x12\x03\x1a\x01s\
        \x0a\x2b\x0a\x23service.istio.io/canonical-revision\x12\x04\x1a\x02v1\
        \x0a\x0f\x0a\x07version\x12\x04\x1a\x02v1\
    \x0a\x0d\x0a\x04NAME\x12\x05\x1a\x03p-1\
    \x0a\x11\x0a\x09NAMESPACE\x12\x04\x1a\x02ns\
    \x0a\x40\x0a\x05OWNER\x12\x37\x1a\x35kubernetes://apis/apps/v1/namespaces/ns/deployments/w\
    \x0a\x0e\x0a\x06REGION\x12\x04\x1a\x02r1\
    \x0a\x14\x0a\x0dWORKLOAD_NAME\x12\x03\x1a\x01w";

/// Full encoding: all of the node metadata that the older plugin sent, in key order.
const FULL_SORTED: &[u8] = b"\
    \x0a\x1a\x0a\x0eAPP_CONTAINERS\x12\x08\x1a\x06web,db\
    \x0a\x1a\x0a\x0aCLUSTER_ID\x12\x0c\x1a\x0aKubernetes\
    \x0a\x22\x0a\x0cINSTANCE_IPS\x12\x12\x1a\x1010.0.0.7,fe80::1\
    \x0a\x18\x0a\x0dISTIO_VERSION\x12\x07\x1a\x051.9.0\
    \x0a\x9b\x01\x0a\x06LABELS\x12\x90\x01\x2a\x8d\x01\
        \x0a\x0a\x0a\x03app\x12\x03\x1a\x01a\
        \x0a\x19\x0a\x11pod-template-hash\x12\x04\x1a\x025d\
        \x0a\x26\x0a\x1fservice.istio.io/canonical-name\x12\x03\x1a\x01s\
        \x0a\x2b\x0a\x23service.istio.io/canonical-revision\x12\x04\x1a\x02v1\
        \x0a\x0f\x0a\x07version\x12\x04\x1a\x02v1\
    \x0a\x0e\x0a\x07MESH_ID\x12\x03\x1a\x01m\
    \x0a\x0d\x0a\x04NAME\x12\x05\x1a\x03p-1\
    \x0a\x11\x0a\x09NAMESPACE\x12\x04\x1a\x02ns\
    \x0a\x40\x0a\x05OWNER\x12\x37\x1a\x35kubernetes://apis/apps/v1/namespaces/ns/deployments/w\
    \x0a\x2b\x0a\x11PLATFORM_METADATA\x12\x16\x2a\x14\
        \x0a\x12\x0a\x0bgcp_project\x12\x03\x1a\x01x\
    \x0a\x14\x0a\x0dWORKLOAD_NAME\x12\x03\x1a\x01w";

/// Full encoding as a hash map leaves it, unsorted, with values of every kind and no canonical labels.
const FULL_UNSORTED: &[u8] = b"\
    \x0a\x14\x0a\x0dWORKLOAD_NAME\x12\x03\x1a\x01w\
    \x0a\x0b\x0a\x05DEBUG\x12\x02\x20\x01\
    \x0a\x11\x0a\x04EXIT\x12\x09\x11\x00\x00\x00\x00\x00\x00\x44\x40\
    \x0a\x0a\x0a\x04NONE\x12\x02\x08\x00\
    \x0a\x0e\x0a\x03IPS\x12\x07\x32\x05\x0a\x03\x1a\x01x\
    \x0a\x38\x0a\x06LABELS\x12\x2e\x2a\x2c\
        \x0a\x1e\x0a\x16app.kubernetes.io/name\x12\x04\x1a\x02qa\
        \x0a\x0a\x0a\x03app\x12\x03\x1a\x01a\
    \x0a\x3a\x0a\x05OWNER\x12\x31\x1a\x2fkubernetes://apis/batch/v1/namespaces/ns/jobs/w";

const OWNER: &str = "kubernetes://apis/apps/v1/namespaces/ns/deployments/w";

fn full_node() -> LocalNode<'static> {
    LocalNode {
        name: b"p-1",
        namespace: b"ns",
        owner: OWNER.as_bytes(),
        workload: b"w",
        cluster: b"c1",
        identity: b"spiffe://td/ns/ns/sa/s",
        region: b"r1",
        availability_zone: b"z1",
        labels: &[
            (b"role", b""),
            (b"app.kubernetes.io/name", b"a"),
            (b"app", b"shadowed"),
            (b"version", b"v1"),
            (b"service.istio.io/canonical-name", b"s"),
            (b"service.istio.io/canonical-revision", b"v1"),
            (b"pod-template-hash", b"5d"),
        ],
    }
}

fn none() -> LabelNames {
    LabelNames::default()
}

fn decode_struct(message: &[u8], names: &LabelNames) -> Result<Peer, DecodeError> {
    decode(&base64::encode(message), names)
}

#[track_caller]
fn tells(peer: Result<Peer, DecodeError>, names: &LabelNames, expected: &[(&str, &str)]) {
    let expected: Properties =
        expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    assert_eq!(oracle::properties_of(&peer.unwrap(), names), expected);
}

#[track_caller]
fn fails(message: &[u8], error: StructError) {
    assert_eq!(decode_struct(message, &none()), Err(DecodeError::Struct(error)));
}

#[test]
fn the_compact_encoding_is_written_byte_for_byte() {
    let small = LocalNode { namespace: b"ns", ..LocalNode::default() };
    let expected = b"CgwKBkxBQkVMUxICKgAKEQoJTkFNRVNQQUNFEgQaAm5z";
    assert_eq!(encode(&small, &none()), expected);
    assert_eq!(base64::encode(COMPACT_SMALL), expected);
    let large = encode(&full_node(), &LabelNames::new(["role"]));
    assert_eq!(large, base64::encode(COMPACT_LARGE));
}

#[test]
fn prost_writes_the_same_bytes() {
    let small = structure([("NAMESPACE", text("ns")), ("LABELS", nested(Struct::default()))]);
    assert_eq!(small.encode_to_vec(), COMPACT_SMALL);
    let labels = structure([
        ("role", text("")),
        ("app", text("a")),
        ("version", text("v1")),
        ("service.istio.io/canonical-name", text("s")),
        ("service.istio.io/canonical-revision", text("v1")),
    ]);
    let large = structure([
        ("NAME", text("p-1")),
        ("NAMESPACE", text("ns")),
        ("WORKLOAD_NAME", text("w")),
        ("CLUSTER_ID", text("c1")),
        ("IDENTITY", text("spiffe://td/ns/ns/sa/s")),
        ("OWNER", text(OWNER)),
        ("REGION", text("r1")),
        ("AVAILABILITY_ZONE", text("z1")),
        ("LABELS", nested(labels)),
    ]);
    assert_eq!(large.encode_to_vec(), COMPACT_LARGE);
}

#[test]
fn prost_reads_the_full_encodings() {
    let sorted = Struct::decode(FULL_SORTED).unwrap();
    assert_eq!(sorted.fields.len(), 11);
    assert_eq!(sorted.encode_to_vec(), FULL_SORTED);
    let unsorted = Struct::decode(FULL_UNSORTED).unwrap();
    let kinds: Vec<_> =
        ["DEBUG", "EXIT", "NONE"].map(|k| unsorted.fields[k].kind.clone().unwrap()).into();
    assert_eq!(kinds, [Kind::BoolValue(true), Kind::NumberValue(40.0), Kind::NullValue(0)]);
}

#[test]
fn the_compact_encoding_is_read() {
    tells(decode_struct(COMPACT_SMALL, &none()), &none(), &[("namespace", "ns")]);
    let everything = [
        ("workload", "w"),
        ("type", "deployment"),
        ("namespace", "ns"),
        ("cluster", "c1"),
        ("service", "s"),
        ("revision", "v1"),
        ("app", "a"),
        ("version", "v1"),
        ("name", "p-1"),
        ("identity", "spiffe://td/ns/ns/sa/s"),
        ("region", "r1"),
        ("availability_zone", "z1"),
    ];
    tells(decode_struct(COMPACT_LARGE, &none()), &none(), &everything);
}

#[test]
fn the_full_encoding_is_read() {
    let sorted = [
        ("workload", "w"),
        ("type", "deployment"),
        ("namespace", "ns"),
        ("cluster", "Kubernetes"),
        ("service", "s"),
        ("revision", "v1"),
        ("app", "a"),
        ("version", "v1"),
        ("name", "p-1"),
    ];
    tells(decode_struct(FULL_SORTED, &none()), &none(), &sorted);
    let unsorted = [("workload", "w"), ("type", "job"), ("app", "qa")];
    tells(decode_struct(FULL_UNSORTED, &none()), &none(), &unsorted);
}

#[test]
fn only_labels_asked_for_are_kept_whichever_they_are() {
    let names = LabelNames::new(["pod-template-hash", "app", "team"]);
    let peer = decode_struct(FULL_SORTED, &names).unwrap();
    assert_eq!(peer.label(names.id(b"pod-template-hash").unwrap()), b"5d");
    assert_eq!(peer.label(names.id(b"app").unwrap()), b"a");
    assert_eq!(peer.label(names.id(b"team").unwrap()), b"");
}

#[test]
fn an_unknown_kind_of_workload_sends_no_owner() {
    let local = LocalNode {
        workload: b"db",
        owner: b"kubernetes://apis/apps/v1/namespaces/ns/statefulsets/db",
        ..LocalNode::default()
    };
    let expected =
        structure([("LABELS", nested(Struct::default())), ("WORKLOAD_NAME", text("db"))]);
    assert_eq!(encode(&local, &none()), oracle::header(&expected));
}

#[test]
fn the_owner_of_a_job_is_sent_in_istios_form() {
    let local = LocalNode {
        namespace: b"ns",
        workload: b"w",
        owner: b"kubernetes://apis/batch/v1/namespaces/ns/jobs/w",
        ..LocalNode::default()
    };
    let expected = structure([
        ("LABELS", nested(Struct::default())),
        ("NAMESPACE", text("ns")),
        ("OWNER", text("kubernetes://apis/apps/v1/namespaces/ns/jobs/w")),
        ("WORKLOAD_NAME", text("w")),
    ]);
    assert_eq!(encode(&local, &none()), oracle::header(&expected));
}

#[test]
fn labels_with_a_meaning_are_never_additional() {
    let names = LabelNames::new(["app", "app.kubernetes.io/name", "role", "missing"]);
    let labels: &[(&[u8], &[u8])] = &[
        (b"app", b"plain"),
        (b"app.kubernetes.io/name", b"qualified"),
        (b"role", b"first"),
        (b"role", b"last"),
    ];
    let local = LocalNode { labels, ..LocalNode::default() };
    let sent = structure([("app", text("qualified")), ("role", text("last"))]);
    let expected = structure([("LABELS", nested(sent))]);
    assert_eq!(encode(&local, &names), oracle::header(&expected));
}

#[test]
fn an_empty_qualified_label_does_not_count() {
    let labels = structure([
        ("app.kubernetes.io/name", text("")),
        ("app", text("a")),
        ("app.kubernetes.io/version", text("")),
        ("version", text("v")),
    ]);
    let message = structure([("LABELS", nested(labels))]);
    let peer = decode(&oracle::header(&message), &none());
    tells(peer, &none(), &[("app", "a"), ("version", "v")]);
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    let twice = b"\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01a\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01b";
    tells(decode_struct(twice, &none()), &none(), &[("name", "b")]);
    let then_a_bool = b"\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01a\x0a\x0a\x0a\x04NAME\x12\x02\x20\x01";
    tells(decode_struct(then_a_bool, &none()), &none(), &[]);
    let empty_labels = [FULL_SORTED, b"\x0a\x0c\x0a\x06LABELS\x12\x02\x2a\x00"].concat();
    let peer = decode_struct(&empty_labels, &none()).unwrap();
    assert!(!oracle::properties_of(&peer, &none()).contains_key("app"));
}

#[test]
fn a_key_of_another_kind_is_absent() {
    let message = structure([
        ("NAME", nested(Struct::default())),
        ("LABELS", text("app")),
        ("NAMESPACE", text("ns")),
    ]);
    let peer = decode(&oracle::header(&message), &none());
    tells(peer, &none(), &[("namespace", "ns")]);
}

#[test]
fn padding_may_be_missing() {
    let header = base64::encode(b"\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01a");
    let bare = header.strip_suffix(b"==").unwrap();
    tells(decode(bare, &none()), &none(), &[("name", "a")]);
}

#[test]
fn broken_headers_say_why() {
    // What two headers of the same name look like to a Wasm filter.
    let byte = Base64Error::Byte { at: 4, byte: b',' };
    assert_eq!(decode(b"CgwK,CgwKBk", &none()), Err(byte.into()));
    fails(b"\x0a\x05\x0a", StructError::Truncated);
    fails(b"\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01\xff", StructError::Utf8);
    fails(b"\x0a\x0a\x0a\x06LABELS\x12\x00\x0b", StructError::WireType(3));
    fails(b"plain text", StructError::Truncated);
}

#[test]
fn what_is_not_kept_is_not_looked_into() {
    let message = b"\x0a\x0b\x0a\x04junk\x12\x03\x1a\x01\xff\x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01a";
    tells(decode_struct(message, &none()), &none(), &[("name", "a")]);
}

#[test]
fn a_header_is_decoded_up_to_the_limit_and_no_further() {
    let mut header = oracle::header(&structure([("PAD", text(&"p".repeat(12_274)))]));
    assert_eq!(header.len(), 16_384);
    tells(decode(&header, &none()), &none(), &[]);
    header.push(b'=');
    let too_long = DecodeError::TooLong { len: 16_385 };
    assert_eq!(decode(&header, &none()), Err(too_long));
}

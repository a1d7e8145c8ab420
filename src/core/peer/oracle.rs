//! A second opinion for tests: the same rules over the `prost-types` and `base64` crates, written for clarity alone.

use super::{Field, LabelNames, Peer};
use ::base64::Engine;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use std::collections::BTreeMap;

/// Every property that is not empty, by name; labels as `labels.NAME`.
pub(super) type Properties = BTreeMap<String, String>;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn text(text: &str) -> Value {
    let kind = Some(Kind::StringValue(text.to_owned()));
    Value { kind }
}

pub(super) fn nested(fields: Struct) -> Value {
    let kind = Some(Kind::StructValue(fields));
    Value { kind }
}

pub(super) fn structure<K: Into<String>>(fields: impl IntoIterator<Item = (K, Value)>) -> Struct {
    let fields = fields.into_iter().map(|(k, v)| (k.into(), v)).collect();
    Struct { fields }
}

/// The header of a Struct, its maps in key order.
pub(super) fn header(message: &Struct) -> Vec<u8> {
    BASE64.encode(message.encode_to_vec()).into_bytes()
}

/// What a header says, `None` if it is not one.
pub(super) fn read(header: &[u8], names: &LabelNames) -> Option<Properties> {
    let bytes = BASE64.decode(header).ok()?;
    Some(properties(&Struct::decode(bytes.as_slice()).ok()?, names))
}

/// What a Struct says.
pub(super) fn properties(message: &Struct, names: &LabelNames) -> Properties {
    let labels = match message.fields.get("LABELS").map(|v| &v.kind) {
        Some(Some(Kind::StructValue(labels))) => labels.clone(),
        _ => Struct::default(),
    };
    let workload = string(message, "WORKLOAD_NAME");
    let first = |names: [&str; 2]| {
        let found = names.map(|n| string(&labels, n));
        found.into_iter().find(|v| !v.is_empty()).unwrap_or_default()
    };
    let mut all = vec![
        ("type".to_owned(), kind(&string(message, "OWNER"), &workload)),
        ("workload".to_owned(), workload),
        ("app".to_owned(), first(["app.kubernetes.io/name", "app"])),
        ("version".to_owned(), first(["app.kubernetes.io/version", "version"])),
    ];
    let plain = [
        ("name", "NAME"),
        ("namespace", "NAMESPACE"),
        ("cluster", "CLUSTER_ID"),
        ("identity", "IDENTITY"),
        ("region", "REGION"),
        ("availability_zone", "AVAILABILITY_ZONE"),
    ];
    all.extend(plain.map(|(name, key)| (name.to_owned(), string(message, key))));
    let canonical = [("service", "name"), ("revision", "revision")];
    all.extend(canonical.map(|(name, key)| {
        let key = format!("service.istio.io/canonical-{key}");
        (name.to_owned(), string(&labels, &key))
    }));
    for name in names.iter() {
        let name = String::from_utf8(name.to_vec()).unwrap();
        all.push((format!("labels.{name}"), string(&labels, &name)));
    }
    all.into_iter().filter(|(_, v)| !v.is_empty()).collect()
}

/// The same view of one of our peers.
pub(super) fn properties_of(peer: &Peer, names: &LabelNames) -> Properties {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut all: Vec<_> =
        Field::ALL.into_iter().map(|f| (f.name().to_owned(), text(peer.get(f)))).collect();
    for name in names.iter() {
        let value = peer.label(names.id(name).unwrap());
        all.push((format!("labels.{}", text(name)), text(value)));
    }
    all.into_iter().filter(|(_, v)| !v.is_empty()).collect()
}

fn string(message: &Struct, key: &str) -> String {
    match message.fields.get(key).map(|v| &v.kind) {
        Some(Some(Kind::StringValue(text))) => text.clone(),
        _ => String::new(),
    }
}

fn kind(owner: &str, workload: &str) -> String {
    let owner = owner.as_bytes();
    let end = owner.len().saturating_sub(workload.len().saturating_add(2));
    let mut segments = owner[..end].rsplit(|&b| b == b'/');
    let last = String::from_utf8_lossy(segments.next().unwrap()).into_owned();
    let known = ["pod", "deployment", "job", "cronjob"].contains(&last.as_str());
    if known && segments.next().is_some() { last } else { String::new() }
}

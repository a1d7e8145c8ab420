//! The other side of a metadata exchange: its headers, made from its node metadata by an encoder that is not the module's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Carries a peer's metadata.
pub const METADATA_HEADER: &str = "x-envoy-peer-metadata";
/// Carries a peer's node id.
pub const ID_HEADER: &str = "x-envoy-peer-metadata-id";

/// A peer that takes part in the metadata exchange.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its node id; the header is not sent when not given.
    pub id: Option<String>,
    /// Its node metadata, with Istio's keys; the header is not sent when not given.
    pub node: Option<toml::Table>,
    /// Which of its node metadata it sends.
    #[serde(default)]
    pub encoding: Encoding,
    /// Pod labels that it sends beside the standard ones (`compact` only).
    #[serde(default)]
    pub additional_labels: Vec<String>,
    /// Bytes of a value that nobody asks for.
    #[serde(default)]
    pub ballast: usize,
    /// Whether its base64 ends in `=`.
    #[serde(default = "yes")]
    pub padding: bool,
}

/// What a sidecar sends of its node metadata (Envoy: `metadata_object`).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// What a receiver uses, as current sidecars do.
    #[default]
    Compact,
    /// Everything, as sidecars before Istio 1.24 do.
    Full,
}

/// What a header has to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Want {
    /// There, or not there.
    There(bool),
    /// Exactly this.
    Text(String),
    /// Exactly what a current sidecar with the case's node would send.
    OwnMetadata(OwnMetadata),
}

/// The proxy's own metadata.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnMetadata {
    /// The pod labels sent beside the standard ones.
    pub own_metadata_with: Vec<String>,
}

/// Keys that are sent as they are, unless empty.
const PLAIN_KEYS: [&str; 5] = ["NAME", "NAMESPACE", "WORKLOAD_NAME", "CLUSTER_ID", "IDENTITY"];
/// Keys for which the node's locality stands in.
const LOCALITY_KEYS: [(&str, &str); 2] = [("REGION", "region"), ("AVAILABILITY_ZONE", "zone")];
/// Kinds of workload that Istio knows.
const KINDS: [&str; 4] = ["pod", "deployment", "job", "cronjob"];

// === impl Peer ===

impl Peer {
    /// The headers that it sends.
    pub fn headers(&self) -> BTreeMap<String, Vec<u8>> {
        let mut headers = BTreeMap::new();
        if let Some(id) = &self.id {
            headers.insert(ID_HEADER.to_owned(), id.clone().into_bytes());
        }
        if let Some(node) = &self.node {
            let mut message = match self.encoding {
                Encoding::Full => structure(node),
                Encoding::Compact => compact(node, &BTreeMap::new(), &self.additional_labels),
            };
            if self.ballast > 0 {
                message.fields.insert("BALLAST".to_owned(), text(&"x".repeat(self.ballast)));
            }
            let base64 = if self.padding { STANDARD } else { STANDARD_NO_PAD };
            let value = base64.encode(message.encode_to_vec());
            headers.insert(METADATA_HEADER.to_owned(), value.into_bytes());
        }
        headers
    }
}

/// The metadata header of a sidecar with this node.
pub fn own_metadata(
    node: &toml::Table,
    locality: &BTreeMap<String, String>,
    additional_labels: &[String],
) -> String {
    STANDARD.encode(compact(node, locality, additional_labels).encode_to_vec())
}

fn compact(
    node: &toml::Table,
    locality: &BTreeMap<String, String>,
    additional_labels: &[String],
) -> Struct {
    let mut fields = BTreeMap::new();
    let mut send = |key: &str, value: &str| {
        if !value.is_empty() {
            fields.insert(key.to_owned(), text(value));
        }
    };
    PLAIN_KEYS.iter().for_each(|key| send(key, string(node, key)));
    for (key, place) in LOCALITY_KEYS {
        let local = locality.get(place).map_or("", String::as_str);
        let told = string(node, key);
        send(key, if told.is_empty() { local } else { told });
    }
    let (namespace, workload) = (string(node, "NAMESPACE"), string(node, "WORKLOAD_NAME"));
    if let Some(kind) = kind(string(node, "OWNER"), workload) {
        let owner = format!("kubernetes://apis/apps/v1/namespaces/{namespace}/{kind}s/{workload}");
        send("OWNER", &owner);
    }
    fields.insert("LABELS".to_owned(), nested(labels(node, additional_labels)));
    Struct { fields }
}

fn labels(node: &toml::Table, additional: &[String]) -> Struct {
    let none = toml::Table::new();
    let labels = node.get("LABELS").and_then(toml::Value::as_table).unwrap_or(&none);
    let first = |names: &[&str]| {
        let values = names.iter().map(|name| string(labels, name));
        values.into_iter().find(|value| !value.is_empty()).map(text)
    };
    let mut fields = BTreeMap::new();
    for name in additional {
        if let Some(value) = labels.get(name).and_then(toml::Value::as_str) {
            fields.insert(name.clone(), text(value));
        }
    }
    for (name, sources) in [
        ("service.istio.io/canonical-name", &["service.istio.io/canonical-name"][..]),
        ("service.istio.io/canonical-revision", &["service.istio.io/canonical-revision"]),
        ("app", &["app.kubernetes.io/name", "app"]),
        ("version", &["app.kubernetes.io/version", "version"]),
    ] {
        if let Some(value) = first(sources) {
            fields.insert(name.to_owned(), value);
        }
    }
    Struct { fields }
}

/// The kind of workload in an owner: the path segment before the workload, in the singular.
fn kind<'a>(owner: &'a str, workload: &str) -> Option<&'a str> {
    let path = owner.strip_suffix(workload)?.strip_suffix("s/")?;
    let (_, kind) = path.rsplit_once('/')?;
    KINDS.contains(&kind).then_some(kind)
}

fn string<'a>(table: &'a toml::Table, key: &str) -> &'a str {
    table.get(key).and_then(toml::Value::as_str).unwrap_or_default()
}

fn structure(table: &toml::Table) -> Struct {
    Struct { fields: table.iter().map(|(key, value)| (key.clone(), value_of(value))).collect() }
}

fn value_of(value: &toml::Value) -> Value {
    #[allow(clippy::cast_precision_loss, reason = "numbers of test cases are small")]
    let kind = match value {
        toml::Value::Table(table) => return nested(structure(table)),
        toml::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(value_of).collect() })
        }
        toml::Value::Integer(number) => Kind::NumberValue(*number as f64),
        toml::Value::Float(number) => Kind::NumberValue(*number),
        toml::Value::Boolean(flag) => Kind::BoolValue(*flag),
        toml::Value::String(text) => Kind::StringValue(text.clone()),
        toml::Value::Datetime(time) => Kind::StringValue(time.to_string()),
    };
    Value { kind: Some(kind) }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn nested(message: Struct) -> Value {
    Value { kind: Some(Kind::StructValue(message)) }
}

fn yes() -> bool {
    true
}

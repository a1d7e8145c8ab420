//! A reader of peer metadata as plain as it gets: all fields of a message into a list, then what the rules say.
//!
//! Rules: protobuf encoding ("Message Structure") without groups; a key that comes twice counts as its last; of a field
//! that comes twice the last counts; only strings that are looked into have to be UTF-8.

use super::oracle::Properties;
use super::{LabelNames, names};

/// A field's number and, if it is length-delimited, its content.
type Field<'a> = (u64, Option<&'a [u8]>);

enum Value<'a> {
    Text(&'a [u8]),
    Struct(&'a [u8]),
    Other,
}

/// What a serialised Struct says of a peer, `None` if it is none.
pub(super) fn read(message: &[u8]) -> Option<Properties> {
    let names = names();
    let all = entries(message)?;
    let mut properties = Properties::new();
    let plain = [
        ("name", "NAME"),
        ("namespace", "NAMESPACE"),
        ("workload", "WORKLOAD_NAME"),
        ("cluster", "CLUSTER_ID"),
        ("identity", "IDENTITY"),
        ("region", "REGION"),
        ("availability_zone", "AVAILABILITY_ZONE"),
        ("owner", "OWNER"),
    ];
    for (name, key) in plain {
        properties.insert(name.to_owned(), text(&all, key)?);
    }
    let owner = properties.remove("owner")?;
    let kind = kind(&owner, properties.get("workload")?.len());
    properties.insert("type".to_owned(), kind);
    let labels = match all.iter().rfind(|(key, _)| *key == b"LABELS") {
        Some((_, Value::Struct(labels))) => entries(labels)?,
        _ => Vec::new(),
    };
    for (name, keys) in [
        ("app", ["app.kubernetes.io/name", "app"]),
        ("version", ["app.kubernetes.io/version", "version"]),
        ("service", ["service.istio.io/canonical-name"; 2]),
        ("revision", ["service.istio.io/canonical-revision"; 2]),
    ] {
        let [first, second] = [text(&labels, keys[0])?, text(&labels, keys[1])?];
        properties.insert(name.to_owned(), if first.is_empty() { second } else { first });
    }
    kept(&labels, &names, &mut properties)?;
    properties.retain(|_, value| !value.is_empty());
    Some(properties)
}

fn kept(labels: &[(&[u8], Value<'_>)], names: &LabelNames, out: &mut Properties) -> Option<()> {
    for name in names.iter() {
        let name = std::str::from_utf8(name).ok()?;
        out.insert(format!("labels.{name}"), text(labels, name)?);
    }
    Some(())
}

/// The string under a key, empty if there is none; `None` if one of that key is not UTF-8, be it the last or not.
fn text(entries: &[(&[u8], Value<'_>)], key: &str) -> Option<String> {
    let mut last = "";
    for (_, value) in entries.iter().filter(|(k, _)| *k == key.as_bytes()) {
        last = match value {
            Value::Text(text) => std::str::from_utf8(text).ok()?,
            _ => "",
        };
    }
    Some(last.to_owned())
}

/// `kubernetes://.../KINDs/WORKLOAD`, where the workload counts by its length.
fn kind(owner: &str, workload: usize) -> String {
    let owner = owner.as_bytes();
    let Some(kept) = owner.len().checked_sub(workload + 2).map(|len| &owner[..len]) else {
        return String::new();
    };
    for kind in ["pod", "deployment", "job", "cronjob"] {
        if kept.ends_with(format!("/{kind}").as_bytes()) {
            return kind.to_owned();
        }
    }
    String::new()
}

fn entries(message: &[u8]) -> Option<Vec<(&[u8], Value<'_>)>> {
    let all = fields(message)?.into_iter();
    let contents = all.filter(|(number, _)| *number == 1).filter_map(|(_, content)| content);
    contents.map(entry).collect()
}

fn entry(message: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let all = fields(message)?;
    let last = |number| all.iter().rfind(|(n, c)| *n == number && c.is_some())?.1;
    for (_, content) in all.iter().filter(|(number, _)| *number == 2) {
        content.map_or(Some(Value::Other), value)?;
    }
    let value = last(2).map_or(Some(Value::Other), value)?;
    Some((last(1).unwrap_or_default(), value))
}

fn value(message: &[u8]) -> Option<Value<'_>> {
    let all = fields(message)?;
    let kind = all.into_iter().rfind(|(number, _)| (1..=6).contains(number));
    Some(match kind {
        Some((3, Some(text))) => Value::Text(text),
        Some((5, Some(fields))) => Value::Struct(fields),
        _ => Value::Other,
    })
}

fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut out = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let (number, wire) = (tag >> 3, tag & 7);
        if number == 0 || number >= 1 << 29 {
            return None;
        }
        let len = match wire {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => varint(&mut message)?,
            5 => 4,
            _ => return None,
        };
        if len > message.len() as u64 {
            return None;
        }
        let (content, rest) = message.split_at(len as usize);
        message = rest;
        out.push((number, (wire == 2).then_some(content)));
    }
    Some(out)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let len = 1 + message.iter().position(|byte| *byte < 0x80)?;
    let (bytes, rest) = message.split_at(len);
    *message = rest;
    let number = bytes.iter().rev().try_fold(0u128, |number, byte| {
        number.checked_mul(128).map(|number| number | u128::from(byte & 0x7f))
    });
    if len > 10 {
        return None;
    }
    u64::try_from(number?).ok()
}

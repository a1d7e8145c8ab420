//! Values as CEL sees them, and how Envoy's Wasm extension hands them to a module.

use std::collections::BTreeMap;

/// An attribute's value. Absent attributes have no value at all: Envoy has no null there.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; header values may hold any bytes.
    Str(Vec<u8>),
    /// Signed number.
    Int(i64),
    /// Unsigned number.
    UInt(u64),
    /// Floating point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Bytes, such as a Wasm property whose type nobody declared.
    Bytes(Vec<u8>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Timestamp(i64),
    /// List.
    List(Vec<Value>),
    /// Map or message, by field.
    Map(BTreeMap<String, Value>),
}

// === impl Value ===

impl Value {
    /// An empty map.
    pub fn map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// A map of these fields.
    pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Map(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    /// The same map with one more field. Anything else than a map stays as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a field of a map.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Self::Map(fields) = self {
            fields.insert(name.to_owned(), value.into());
        }
    }

    /// A field of a map.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// A field of a map, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self {
            Self::Map(fields) => fields.get_mut(name),
            _ => None,
        }
    }

    /// What a path of fields and positions in lists leads to.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, name| match value {
            Value::List(items) => items.get(name.parse::<usize>().ok()?),
            _ => value.get(name),
        })
    }

    /// The bytes a module is handed. A list is written like a map whose keys are the elements and whose values are empty.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Str(bytes) | Self::Bytes(bytes) => bytes.clone(),
            Self::Int(n) | Self::Duration(n) | Self::Timestamp(n) => n.to_le_bytes().to_vec(),
            Self::UInt(n) => n.to_le_bytes().to_vec(),
            Self::Double(n) => n.to_le_bytes().to_vec(),
            Self::Bool(b) => vec![u8::from(*b)],
            Self::List(items) => pairs(items.iter().map(|item| (item.encode(), Vec::new()))),
            Self::Map(fields) => {
                pairs(fields.iter().map(|(k, v)| (k.clone().into_bytes(), v.encode())))
            }
        }
    }
}

/// A `u32` count, per pair two `u32` lengths, then per pair key NUL value NUL.
fn pairs(items: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let items: Vec<_> = items.collect();
    let length = |n: usize| u32::try_from(n).expect("a value of the model is small").to_le_bytes();
    let mut out = length(items.len()).to_vec();
    for (key, value) in &items {
        out.extend(length(key.len()));
        out.extend(length(value.len()));
    }
    for (key, value) in &items {
        out.extend_from_slice(key);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into_bytes())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<&toml::Value> for Value {
    /// Numbers become doubles, as in protobuf's `Struct`.
    fn from(value: &toml::Value) -> Self {
        match value {
            toml::Value::String(text) => text.as_str().into(),
            #[allow(clippy::cast_precision_loss, reason = "numbers of test cases are small")]
            toml::Value::Integer(number) => Self::Double(*number as f64),
            toml::Value::Float(number) => Self::Double(*number),
            toml::Value::Boolean(flag) => Self::Bool(*flag),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(items) => Self::List(items.iter().map(Into::into).collect()),
            toml::Value::Table(table) => {
                Self::Map(table.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_envoy_writes_it() {
        let list = Value::List(vec![Value::Int(2), "k".into()]);
        let hex: String = list.encode().iter().map(|b| format!("{b:02x}")).collect();
        // Taken from a real Envoy 1.40 for `[2, 'k']`.
        assert_eq!(
            hex,
            "020000000800000000000000010000000000000002000000000000000000".to_owned() + "6b0000"
        );
    }

    #[test]
    fn an_empty_text_is_no_bytes() {
        assert_eq!(Value::from("").encode(), b"");
        assert_eq!(Value::List(vec![]).encode(), [0, 0, 0, 0]);
    }
}

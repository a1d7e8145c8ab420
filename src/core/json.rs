//! A JSON document in memory.
//!
//! serde_json reads the text. Its own tree would take 9 MB for 10,000 operations, three quarters of it slack in the nodes of
//! its maps, and memory that a module has taken it keeps.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A number as JSON writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole, not negative.
    Whole(u64),
    /// Whole, negative.
    Negative(i64),
    /// Anything else.
    Other(f64),
}

/// An object's fields, sorted by name, each name once: of several the last counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Box<[(String, Json)]>);

struct Reader;

// === impl Json ===

impl Json {
    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    /// The value a JSON pointer (RFC 6901) leads to, such as `/components/0`.
    pub fn pointer(&self, pointer: &str) -> Option<&Json> {
        let mut value = self;
        let mut segments = pointer.split('/');
        if !segments.next()?.is_empty() {
            return None;
        }
        for segment in segments {
            value = match value {
                Json::Object(object) => {
                    let name = crate::text::replace(segment, "~1", "/");
                    object.get(&crate::text::replace(&name, "~0", "~"))?
                }
                Json::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is whole and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Json::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_array(&self) -> Option<&Vec<Json>> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The fields of an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Whether it is `true` or `false`.
    pub fn is_boolean(&self) -> bool {
        matches!(self, Json::Bool(_))
    }
}

// === impl Number ===

impl Number {
    /// The number, if it is whole and not negative.
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Number::Whole(number) => Some(number),
            _ => None,
        }
    }
}

// === impl Object ===

impl Object {
    fn new(mut fields: Vec<(String, Json)>) -> Self {
        if !fields.is_sorted_by(|(a, _), (b, _)| a < b) {
            fields.reverse();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            fields.dedup_by(|(later, _), (kept, _)| later == kept);
        }
        Self(fields.into())
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.get_key_value(name).map(|(_, value)| value)
    }

    /// A field.
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &Json)> {
        let place = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(place).map(|(name, value)| (name, value))
    }

    /// Whether there is a field of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The fields, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Json)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Number::Whole(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        let whole = u64::try_from(value).map(Number::Whole);
        Ok(Json::Number(whole.unwrap_or(Number::Negative(value))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(Number::Other(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = fields.next_entry()? {
            all.push(field);
        }
        Ok(Json::Object(Object::new(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn of_several_fields_of_one_name_the_last_counts() {
        let object = read(r#"{"b": 1, "a": 2, "b": 3, "a": 4, "b": 5}"#);
        assert_eq!(object, read(r#"{"a": 4, "b": 5}"#));
    }

    #[test]
    fn a_pointer_leads_into_objects_and_lists() {
        let document = read(r#"{"a/b": [{"m~n": true}], "": 1}"#);
        assert_eq!(document.pointer("/a~1b/0/m~0n"), Some(&Json::Bool(true)));
        assert_eq!(document.pointer(""), Some(&document));
        assert_eq!(document.pointer("/"), document.get(""));
        for nowhere in ["/a~1b/1", "/a~1b/x", "/c", "a"] {
            assert_eq!(document.pointer(nowhere), None, "{nowhere}");
        }
    }

    fn same(ours: &Json, theirs: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (ours, theirs) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(a), Value::Bool(b)) => a == b,
            (Json::String(a), Value::String(b)) => a == b,
            (Json::Number(Number::Other(a)), Value::Number(b)) => {
                b.is_f64() && b.as_f64() == Some(*a)
            }
            (Json::Number(Number::Negative(a)), Value::Number(b)) => b.as_i64() == Some(*a),
            (Json::Number(Number::Whole(a)), Value::Number(b)) => b.as_u64() == Some(*a),
            (Json::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Json::Object(a), Value::Object(b)) => {
                a.iter().count() == b.len()
                    && a.iter().zip(b).all(|((m, a), (n, b))| m == n && same(a, b))
                    && b.keys().all(|name| a.contains_key(name))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_serde_json_reads_it(text in r#"[\[{]("[ab~/]{0,2}"[:,]|-?[0-9]{1,21}(\.5)?[,:]?|[\[\]{},:]|null|true){0,12}[\]}]"#) {
            let ours = serde_json::from_str::<Json>(&text).ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                prop_assert!(same(&ours, &theirs), "{:?}", ours);
            }
        }
    }
}

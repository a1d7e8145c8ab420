//! How what an expression reads is fetched from the host, and understood when it comes back.
//!
//! A fetched value carries no type and an absent one is empty. Texts that may be empty are therefore fetched with a mark
//! in front; the others tell by their length.

use super::decode;
use crate::expr::{AttributeType, Read, Source, Value};

/// One value to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    /// CEL that yields the value, marked if need be, and `''` when it is absent.
    pub expression: String,
    kind: AttributeType,
    marked: bool,
}

/// Texts that are never empty when they are there.
const NEVER_EMPTY: [&str; 9] = [
    "destination.address",
    "request.host",
    "request.method",
    "request.path",
    "request.protocol",
    "request.scheme",
    "request.url_path",
    "source.address",
    "upstream.address",
];

// === impl Fetch ===

impl Fetch {
    /// How to fetch an attribute or a header; `None` for a value of our own.
    pub fn of(read: &Read) -> Option<Self> {
        let Source::Attribute(id) = read.source else { return None };
        let attribute = id.attribute()?;
        let name = attribute.name;
        if let (AttributeType::Headers, [key]) = (attribute.kind, &*read.path) {
            let key = quoted(key);
            let expression = format!("{key} in {name} ? '=' + {name}[{key}] : ''");
            return Some(Self { expression, kind: AttributeType::Str, marked: true });
        }
        let marked = attribute.kind == AttributeType::Str && !NEVER_EMPTY.contains(&name);
        let value = if marked { format!("'=' + {name}") } else { name.to_owned() };
        let guarded = name.contains('.');
        let expression = if guarded { format!("has({name}) ? {value} : ''") } else { value };
        Some(Self { expression, kind: attribute.kind, marked })
    }

    /// The value behind fetched bytes; `None` when it is absent.
    pub fn value<'a>(&self, bytes: &'a [u8]) -> Option<Value<'a>> {
        match self.kind {
            AttributeType::Str if self.marked => bytes.strip_prefix(b"=").map(Value::Str),
            AttributeType::Str => (!bytes.is_empty()).then_some(Value::Str(bytes)),
            AttributeType::Int => decode::int(bytes).map(Value::Int),
            AttributeType::Uint => decode::int(bytes).map(|n| Value::Uint(n.cast_unsigned())),
            AttributeType::Bool => decode::boolean(bytes).map(Value::Bool),
            AttributeType::Duration => decode::int(bytes).map(Value::Duration),
            AttributeType::Timestamp => decode::int(bytes).map(Value::Timestamp),
            AttributeType::Headers | AttributeType::Message => None,
        }
    }
}

/// A CEL string literal.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Slots, Vocabulary, compile};

    #[track_caller]
    fn fetch(text: &str) -> Fetch {
        let mut slots = Slots::default();
        compile(text, &Vocabulary::default(), &mut slots).unwrap();
        Fetch::of(&slots.reads()[0]).unwrap()
    }

    #[test]
    fn a_text_that_may_be_empty_is_marked() {
        let query = fetch("request.query");
        assert_eq!(query.expression, "has(request.query) ? '=' + request.query : ''");
        assert_eq!(query.value(b"="), Some(Value::Str(b"")));
        assert_eq!(query.value(b"=a=b"), Some(Value::Str(b"a=b")));
        assert_eq!(query.value(b""), None);
    }

    #[test]
    fn a_text_that_is_never_empty_is_not() {
        let path = fetch("request.path");
        assert_eq!(path.expression, "has(request.path) ? request.path : ''");
        assert_eq!(path.value(b"/"), Some(Value::Str(b"/")));
        assert_eq!(path.value(b""), None);
    }

    #[test]
    fn headers_are_looked_up_by_their_quoted_name() {
        let header = fetch(r#"request.headers["X-A'b\\c"]"#);
        let key = r"'x-a\'b\\c'";
        assert_eq!(
            header.expression,
            format!("{key} in request.headers ? '=' + request.headers[{key}] : ''")
        );
    }

    #[test]
    fn numbers_tell_by_their_length() {
        let code = fetch("response.code");
        assert_eq!(code.expression, "has(response.code) ? response.code : ''");
        assert_eq!(code.value(&200i64.to_le_bytes()), Some(Value::Int(200)));
        assert_eq!(code.value(b""), None);
        assert_eq!(code.value(b"abc"), None);
    }
}

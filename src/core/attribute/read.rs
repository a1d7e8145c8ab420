//! How what an expression reads is fetched from the host, and understood when it comes back.
//!
//! A fetched value carries no type and an absent one is empty. Texts that may be empty are therefore fetched with a mark
//! in front; the others tell by their length.

use super::decode;
use super::fact::{Fact, TABLE};
use crate::expr::{AttributeType, Read, Source, Value};

/// One value to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    name: &'static str,
    /// Name of a header.
    key: Option<Box<str>>,
    kind: AttributeType,
    marked: bool,
}

/// When a value of a stream that lasts is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// From the beginning; what is not there then is not there at all.
    Early,
    /// At some time, and then it stays.
    Later,
    /// At the end, or while headers pass.
    AtEnd,
}

/// In front of a text that may be empty.
pub(crate) const MARK: u8 = b'=';

/// Texts that are never empty when they are there.
const NEVER_EMPTY: [&str; 8] = [
    "destination.address",
    "request.host",
    "request.method",
    "request.path",
    "request.protocol",
    "request.scheme",
    "source.address",
    "upstream.address",
];

/// Attributes that are known, if at all, when a stream begins.
const EARLY: [&str; 5] =
    ["connection.", "destination.", "source.", "xds.listener_direction", "xds.filter_chain_name"];

/// Attributes that are known once the request is routed or the upstream connected.
const LATER: [&str; 14] = [
    "upstream.address",
    "upstream.dns_san_local_certificate",
    "upstream.dns_san_peer_certificate",
    "upstream.local_address",
    "upstream.port",
    "upstream.sha256_peer_certificate_digest",
    "upstream.subject_local_certificate",
    "upstream.subject_peer_certificate",
    "upstream.tls_version",
    "upstream.uri_san_local_certificate",
    "upstream.uri_san_peer_certificate",
    "xds.cluster_name",
    "xds.route_name",
    "xds.virtual_host_name",
];

// === impl Fetch ===

impl Fetch {
    /// How to fetch an attribute or a header; `None` for a value of our own.
    pub fn of(read: &Read) -> Option<Self> {
        let Source::Attribute(id) = read.source else { return None };
        let attribute = id.attribute()?;
        let (name, kind) = (attribute.name, attribute.kind);
        if let (AttributeType::Headers, [key]) = (kind, &*read.path) {
            let key = Some(key.clone());
            return Some(Self { name, key, kind: AttributeType::Str, marked: true });
        }
        let marked = kind == AttributeType::Str && !NEVER_EMPTY.contains(&name);
        Some(Self { name, key: None, kind, marked })
    }

    /// The fact that is the same value, so that nothing else has to be fetched.
    pub fn fact(&self) -> Option<Fact> {
        if self.marked {
            return None;
        }
        let path = self.path();
        // Asked for only of requests that may be gRPC's.
        let same = |fact: &Fact| *fact != Fact::GrpcStatus && fact.path() == path;
        TABLE.iter().map(|(fact, _)| *fact).find(same)
    }

    /// CEL that yields the value, marked if need be, and `''` when it is absent.
    pub fn expression(&self) -> String {
        let name = self.name;
        if let Some(key) = &self.key {
            let key = quoted(key);
            // A request has headers whenever it is asked, a stream may end without a response.
            let guard = match name {
                "request.headers" => String::new(),
                _ => format!("has({name}) && "),
            };
            return format!("{guard}{key} in {name} ? '=' + {name}[{key}] : ''");
        }
        ["has(", name, ") ? ", if self.marked { "'=' + " } else { "" }, name, " : ''"].concat()
    }

    /// Path of the attribute it is, segments joined by NUL.
    pub fn path(&self) -> String {
        let mut path = self.name.replace('.', "\0");
        if let Some(key) = &self.key {
            path.push('\0');
            path.push_str(key);
        }
        path
    }

    /// Whether a value is fetched with a mark in front.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether only requests have it: to ask for it on a connection could fail the whole list.
    pub fn is_of_request(&self) -> bool {
        self.key.is_some()
    }

    /// When it is known of a stream that lasts.
    pub fn known(&self) -> Known {
        let ends = ["connection.termination_details", "connection.transport_failure_reason"];
        if ends.contains(&self.name) {
            Known::AtEnd
        } else if EARLY.iter().any(|name| self.name.starts_with(name)) {
            Known::Early
        } else if LATER.contains(&self.name) {
            Known::Later
        } else {
            Known::AtEnd
        }
    }

    /// The value behind fetched bytes; `None` when it is absent.
    pub fn value<'a>(&self, bytes: &'a [u8]) -> Option<Value<'a>> {
        match self.kind {
            AttributeType::Str if self.marked => bytes.strip_prefix(&[MARK]).map(Value::Str),
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
    use crate::expr::{ATTRIBUTES, AttributeId, Slots, Vocabulary, compile};

    #[track_caller]
    fn fetch(text: &str) -> Fetch {
        let mut slots = Slots::default();
        assert!(compile(text, &Vocabulary::default(), &mut slots).is_ok(), "{text}");
        let found = slots.reads().first().and_then(Fetch::of);
        assert!(found.is_some(), "{text} reads nothing of the host's");
        let nothing = Fetch { name: "", key: None, kind: AttributeType::Str, marked: false };
        found.unwrap_or(nothing)
    }

    #[test]
    fn a_text_that_may_be_empty_is_marked() {
        let query = fetch("request.query");
        assert_eq!(query.expression(), "has(request.query) ? '=' + request.query : ''");
        assert_eq!(query.value(b"="), Some(Value::Str(b"")));
        assert_eq!(query.value(b"=a=b"), Some(Value::Str(b"a=b")));
        assert_eq!(query.value(b""), None);
        assert_eq!(query.fact(), None);
    }

    #[test]
    fn what_is_a_fact_anyway_is_not_fetched_twice() {
        for (text, fact) in [
            ("request.path", Fact::Path),
            ("request.method", Fact::Method),
            ("request.host", Fact::Host),
            ("response.code", Fact::ResponseCode),
            ("request.duration", Fact::Duration),
        ] {
            assert_eq!(fetch(text).fact(), Some(fact), "{text}");
        }
        // A fact does not tell an empty text from an absent one.
        for text in ["xds.route_name", "request.headers['content-type']", "request.url_path"] {
            assert_eq!(fetch(text).fact(), None, "{text}");
        }
    }

    #[test]
    fn headers_are_looked_up_by_their_quoted_name() {
        let header = fetch(r#"request.headers["X-A'b\\c"]"#);
        let key = r"'x-a\'b\\c'";
        assert_eq!(
            header.expression(),
            format!("{key} in request.headers ? '=' + request.headers[{key}] : ''")
        );
        assert_eq!(header.path(), "request\0headers\0x-a'b\\c");
        let response = fetch("response.headers['a']").expression();
        assert!(response.starts_with("has(response.headers) && 'a' in response.headers ? "));
    }

    #[test]
    fn numbers_tell_by_their_length() {
        let code = fetch("response.size");
        assert_eq!(code.expression(), "has(response.size) ? response.size : ''");
        assert_eq!(code.value(&200i64.to_le_bytes()), Some(Value::Int(200)));
        assert_eq!(code.value(b""), None);
        assert_eq!(code.value(b"abc"), None);
    }

    #[test]
    fn every_named_attribute_exists() {
        for name in NEVER_EMPTY.iter().chain(&LATER) {
            assert!(AttributeId::of(name).is_some(), "{name}");
        }
        for prefix in EARLY {
            assert!(ATTRIBUTES.iter().any(|attribute| attribute.name.starts_with(prefix)));
        }
    }

    #[test]
    fn what_comes_with_headers_or_the_end_is_not_known_before() {
        for (text, known) in [
            ("connection.mtls", Known::Early),
            ("source.address", Known::Early),
            ("upstream.address", Known::Later),
            ("connection.termination_details", Known::AtEnd),
            ("request.path", Known::AtEnd),
            ("request.headers['a']", Known::AtEnd),
            ("response.code", Known::AtEnd),
        ] {
            assert_eq!(fetch(text).known(), known, "{text}");
        }
    }
}

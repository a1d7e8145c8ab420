//! CEL expressions: the only place that decides where one is evaluated.
//!
//! A literal and the bare name of a derived attribute are answered here; everything else is given to the [`Host`], whose
//! vocabulary is Envoy's (Envoy documentation, "Attributes"). Callers see [`Program`] and never who evaluates it.

mod names;

pub use names::{Names, PeerPath, PeerProperty, PeersRead, Side, peer_label};

use crate::limits::MAX_EXPRESSION_BYTES;
use crate::port::{ExprId, Host};

/// A compiled expression.
#[derive(Debug, PartialEq, Eq)]
pub struct Program(Class);

#[derive(Debug, PartialEq, Eq)]
enum Class {
    /// Known while configuring.
    Constant(Vec<u8>),
    /// The derived attribute with this index.
    Derived(usize),
    /// A property of a peer.
    Peer(PeerPath),
    /// The host evaluates it for each stream, for which these peers have to be published.
    Host(ExprId, PeersRead),
}

/// Why an expression has no value for this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// A derived attribute that nothing matched: the ordinary case of a request without an operation.
    NotSet,
    /// An attribute is missing, or a type does not fit.
    Failed,
}

/// What this module knows of the stream in hand beyond the host's attributes.
pub trait Derived {
    /// A derived attribute by index, `None` when it is not set.
    fn attribute(&self, index: usize) -> Option<&[u8]>;

    /// A property of a peer, `None` when it is not known.
    fn peer(&self, path: &PeerPath) -> Option<&[u8]>;
}

// === impl Program ===

impl Program {
    /// Compiles an expression whose value is wanted as text: strings as they are, numbers, bools, durations and
    /// timestamps as CEL's `string()` writes them. `names` are what this module answers itself.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn text(text: &str, names: &Names<'_>, host: &mut impl Host) -> Result<Self, String> {
        if let Some(literal) = literal(text) {
            return Ok(Self(Class::Constant(literal.to_vec())));
        }
        if let Some(index) = names.attribute(text) {
            return Ok(Self(Class::Derived(index)));
        }
        if let Some(path) = names.peer(text) {
            return Ok(Self(Class::Peer(path)));
        }
        on_host(text, |text| format!("string(\n{text}\n)"), names, host)
    }

    /// Compiles an expression that has to be a bool.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn condition(text: &str, names: &Names<'_>, host: &mut impl Host) -> Result<Self, String> {
        on_host(text, |text| format!("(\n{text}\n) ? true : false"), names, host)
    }

    /// The peer it reads, if it does.
    pub fn reads_peer(&self) -> Option<Side> {
        match &self.0 {
            Class::Peer(path) => Some(path.side),
            _ => None,
        }
    }

    /// The peers that have to be published before it is evaluated.
    pub fn publishes(&self) -> PeersRead {
        match &self.0 {
            Class::Host(_, peers) => *peers,
            _ => PeersRead::default(),
        }
    }

    /// Whether the host evaluates it, which it can only while a callback of the stream runs.
    pub fn is_of_host(&self) -> bool {
        matches!(self.0, Class::Host(..))
    }

    /// Appends the value to `out`.
    ///
    /// # Errors
    /// When the value cannot be had for this stream; `out` is left as it was.
    pub fn write(
        &self,
        derived: &impl Derived,
        host: &mut impl Host,
        out: &mut Vec<u8>,
    ) -> Result<(), NoValue> {
        match &self.0 {
            Class::Constant(value) => out.extend_from_slice(value),
            Class::Derived(index) => {
                out.extend_from_slice(derived.attribute(*index).ok_or(NoValue::NotSet)?);
            }
            Class::Peer(path) => out.extend_from_slice(derived.peer(path).ok_or(NoValue::NotSet)?),
            Class::Host(id, _) => host.evaluate(*id, out).map_err(|_| NoValue::Failed)?,
        }
        Ok(())
    }

    /// Whether the condition holds. `scratch` is left as it was.
    ///
    /// # Errors
    /// When it cannot be evaluated for this stream, or is not a bool.
    pub fn holds(&self, host: &mut impl Host, scratch: &mut Vec<u8>) -> Result<bool, NoValue> {
        let Class::Host(id, _) = self.0 else { return Err(NoValue::Failed) };
        let start = scratch.len();
        host.evaluate(id, scratch).map_err(|_| NoValue::Failed)?;
        let answer = crate::attribute::decode::boolean(scratch.get(start..).unwrap_or_default());
        scratch.truncate(start);
        answer.ok_or(NoValue::Failed)
    }
}

/// Compiles `text` alone first: wrapped, an unbalanced text could still be a valid expression.
fn on_host(
    text: &str,
    wrap: impl Fn(&str) -> String,
    names: &Names<'_>,
    host: &mut impl Host,
) -> Result<Program, String> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let len = text.len();
        return Err(format!(
            "expression of {len} bytes, at most {MAX_EXPRESSION_BYTES} are allowed"
        ));
    }
    let refused = |_| format!("expression does not compile: {text}");
    host.compile(text).map_err(refused)?;
    let (text, peers) = if names.exchange {
        names::with_published_peers(text)
    } else {
        (text.to_owned(), PeersRead::default())
    };
    host.compile(&wrap(&text)).map(|id| Program(Class::Host(id, peers))).map_err(refused)
}

/// A decimal number or a simple string literal: by far the most common constants.
fn literal(text: &str) -> Option<&[u8]> {
    let text = text.trim();
    let number = text.strip_prefix('-').unwrap_or(text);
    let plain_number = number == "0" || !number.starts_with('0');
    if plain_number && number.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i64>().is_ok() {
        return Some(text.as_bytes());
    }
    ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        let simple = !inner.contains(['\\', '\n', '\r', quote]);
        simple.then_some(inner.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_here() {
        assert_eq!(literal("1"), Some(&b"1"[..]));
        assert_eq!(literal(" -12 "), Some(&b"-12"[..]));
        assert_eq!(literal("'test'"), Some(&b"test"[..]));
        assert_eq!(literal("\"\""), Some(&b""[..]));
    }

    #[test]
    fn what_only_looks_like_a_literal_is_not_read_here() {
        for text in [
            "",
            "-",
            "007",
            "0x10",
            "1u",
            "'a' + 'b'",
            r"'a\n'",
            "'",
            "'a\"",
            "99999999999999999999",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}

//! Stat names: how labels travel inside a metric's name (`tag=.=value;.;...;.;istio_requests_total`).
//!
//! The proxy-wasm ABI has no labels. Envoy's `stats_tags` regexes cut them out of the name again, so a value must never
//! look like a separator, nor like anything another regex of the bootstrap is after.

use super::cut::{Cut, MARK, SUFFIX_BYTES, hash};
use super::flags;
use super::label::Value;
use super::text::canonical;
use crate::config::StatNames;
use crate::mesh::{UNKNOWN, or};
use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

/// Writes stat names.
#[derive(Debug)]
pub struct Encoder {
    field: String,
    value: String,
    traps: &'static [&'static str],
    max_bytes: usize,
}

/// What the unanchored regexes of Istio's own bootstrap look for anywhere in a name (Istio `envoy_bootstrap.json`:
/// cache, component, tag, wasm_filter, authz_enforce_result, authz_dry_run_result, authz_dry_run_action): a value that
/// holds one would yield a label nobody wrote.
const ISTIO_TRAPS: &[&str] = &[
    "cache.",
    "component.",
    "tag.",
    "wasm_filter.",
    "rbac.",
    ".shadow_allowed",
    ".shadow_denied",
    ".istio_dry_run_allow",
    ".istio_dry_run_deny",
];

/// Stands for a byte that must not reach the name.
const REPLACEMENT: char = '_';

// === impl Encoder ===

impl Encoder {
    /// `istio_bootstrap`: the proxy's stats tags are Istio's, whose unanchored regexes need values broken up. Values of
    /// more than `max_bytes` are cut.
    pub fn new(names: &StatNames, istio_bootstrap: bool, max_bytes: usize) -> Self {
        Self {
            field: names.field_separator.clone(),
            value: names.value_separator.clone(),
            traps: if istio_bootstrap { ISTIO_TRAPS } else { &[] },
            max_bytes,
        }
    }

    /// Appends one label.
    pub fn label(&self, name: &str, value: Value<'_>, out: &mut String) {
        if value == Value::Absent {
            return;
        }
        out.push_str(name);
        out.push_str(&self.value);
        // Separators may be of what numbers and flags are made of: `-` and `,`.
        let mut short = String::new();
        match value {
            Value::Absent | Value::Text(_) => {}
            // Writing to a String cannot fail.
            Value::Int(number) => drop(write!(short, "{number}")),
            Value::Flags(bits) => flags::of_request(bits, &mut short),
            Value::ConnectionFlags(bits) => flags::of_connection(bits, &mut short),
        }
        self.text(if let Value::Text(bytes) = value { bytes } else { short.as_bytes() }, out);
        out.push_str(&self.field);
    }

    /// Appends a value's text: not UTF-8 becomes U+FFFD, control characters and what would break the name `_`.
    fn text(&self, bytes: &[u8], out: &mut String) {
        let text = self.shorten(bytes);
        let text: String =
            text.chars().map(|c| if c.is_control() { REPLACEMENT } else { c }).collect();
        let inside = self.value.len()..self.value.len().saturating_add(text.len());
        let around = [self.value.as_str(), &text, &self.field].concat();
        let broken = self.breaks(&around, &inside);
        for (at, c) in text.char_indices() {
            let replace = broken.get(at).copied().unwrap_or_default();
            out.push(if replace { REPLACEMENT } else { c });
        }
    }

    /// A value as text. What is not UTF-8 grows as text, so it can become too long here.
    fn shorten<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        let cut = Cut::of(bytes, self.max_bytes);
        let text = String::from_utf8_lossy(cut.map_or(bytes, |cut| cut.head));
        let longest = self.max_bytes.saturating_sub(SUFFIX_BYTES);
        if cut.is_none() && text.len() <= self.max_bytes {
            return text;
        }
        let head = text.get(..text.floor_char_boundary(longest)).unwrap_or_default();
        let hash = cut.map_or_else(|| hash(bytes), |cut| cut.hash);
        Cow::Owned(format!("{head}{MARK}{hash:016x}"))
    }

    /// Which bytes of `inside` to replace so that no separator and no trap touches it.
    fn breaks(&self, around: &str, inside: &Range<usize>) -> Vec<bool> {
        let mut broken = vec![false; inside.len()];
        let mut mark = |at: usize| {
            if let Some(byte) = at.checked_sub(inside.start).and_then(|at| broken.get_mut(at)) {
                *byte = true;
            }
        };
        for separator in [self.field.as_str(), &self.value] {
            overlapping(around, separator, |byte, sought| byte == sought)
                .filter(|at| *at > 0 && at.saturating_add(separator.len()) > inside.start)
                .for_each(|at| mark(at.max(inside.start)));
        }
        // The `_` that a trap asks for may come of a separator.
        let begins = |text: &str, byte| text.as_bytes().first() == Some(&byte);
        let may_be = |byte, sought| {
            byte == sought
                || sought == b'_' && (begins(&self.field, byte) || begins(&self.value, byte))
        };
        for trap in self.traps {
            let dot = trap.find('.').unwrap_or_default();
            overlapping(around, trap, may_be).for_each(|at| mark(at.saturating_add(dot)));
        }
        broken
    }
}

/// Where `needle` (ASCII, not empty) starts in `text`, overlapping occurrences included; `is` compares a byte of the text
/// with one of the needle.
fn overlapping<'a>(
    text: &'a str,
    needle: &'a str,
    is: impl Fn(u8, u8) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    let found = move |window: &[u8]| window.iter().zip(needle.bytes()).all(|(b, n)| is(*b, n));
    let windows = text.as_bytes().windows(needle.len().max(1));
    windows.enumerate().filter(move |(_, window)| found(window)).map(|(at, _)| at)
}

/// Stat name of `istio_build`, in the form Istio's bootstrap takes `component` and `tag` out of; the component as it stands.
pub fn build_info(prefix: &str, component: &str, version: &[u8]) -> String {
    let version = String::from_utf8_lossy(or(canonical(version), UNKNOWN));
    let version: String =
        version.chars().map(|c| if c == ';' || c.is_control() { REPLACEMENT } else { c }).collect();
    format!("component.{component}.tag.{version};.{prefix}_build")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 256;

    fn encode(value: &[u8], istio_bootstrap: bool) -> String {
        let mut out = String::new();
        let encoder = Encoder::new(&StatNames::default(), istio_bootstrap, MAX);
        encoder.label("a", Value::Text(value), &mut out);
        out
    }

    fn inner(encoded: &str) -> &str {
        encoded.strip_prefix("a=.=").unwrap().strip_suffix(";.;").unwrap()
    }

    #[test]
    fn a_long_value_is_cut_and_stays_one_of_its_own() {
        let long = |end: &str| encode(["v".repeat(MAX), end.to_owned()].concat().as_bytes(), false);
        let (one, other) = (long("1"), long("2"));
        assert_ne!(one, other);
        for encoded in [&one, &other] {
            let (head, hash) = inner(encoded).split_once('~').unwrap();
            assert_eq!((head, hash.len()), ("v".repeat(MAX - 17).as_str(), 16));
        }
        assert_eq!(inner(&encode("v".repeat(MAX).as_bytes(), false)), "v".repeat(MAX));
    }

    #[test]
    fn what_is_not_utf8_is_cut_as_text() {
        let encoded = encode(&[0xff; 100], false);
        let (head, hash) = inner(&encoded).split_once('~').unwrap();
        assert_eq!((head, hash.len()), ("\u{fffd}".repeat((MAX - 17) / 3).as_str(), 16));
        assert_ne!(encoded, encode(&[0xfe; 100], false));
    }

    #[test]
    fn a_plain_value_is_verbatim() {
        assert_eq!(encode(b"ratings.default.svc:9080", true), "a=.=ratings.default.svc:9080;.;");
        assert_eq!(encode("größe".as_bytes(), true), "a=.=größe;.;");
        assert_eq!(encode(b"x;", false), "a=.=x;;.;");
    }

    #[test]
    fn a_value_cannot_forge_a_separator() {
        assert_eq!(encode(b"x;.;b=.=y", false), "a=.=x_.;b_.=y;.;");
        assert_eq!(encode(b"x;.", false), "a=.=x_.;.;");
        assert_eq!(encode(b";.;.;", false), "a=.=_._.;;.;");
        assert_eq!(encode(b".=x", false), "a=.=_=x;.;");
    }

    #[test]
    fn control_characters_and_broken_utf8_are_replaced() {
        assert_eq!(encode(b"a\nb\0c\x7f", false), "a=.=a_b_c_;.;");
        assert_eq!(encode(b"\xa1x", false), "a=.=\u{fffd}x;.;");
    }

    #[test]
    fn values_do_not_trip_the_regexes_of_istios_bootstrap() {
        assert_eq!(encode(b"redis-cache.shop", true), "a=.=redis-cache_shop;.;");
        assert_eq!(encode(b"stag.tag.x", true), "a=.=stag_tag_x;.;");
        assert_eq!(encode(b"redis-cache.shop", false), "a=.=redis-cache.shop;.;");
        assert_eq!(encode(b"x.shadow_denied", true), "a=.=x_shadow_denied;.;");
        assert_eq!(encode(b".istio_dry_run_deny_x", true), "a=.=_istio_dry_run_deny_x;.;");
    }

    /// What is replaced by `_` must not make a word of Istio's regexes.
    #[test]
    fn a_replacement_does_not_spell_what_istios_regexes_look_for() {
        assert_eq!(encode(b"wasm\nfilter.x.y", true), "a=.=wasm_filter_x.y;.;");
        assert_eq!(encode("wasm\u{85}filter.x.y".as_bytes(), true), "a=.=wasm_filter_x.y;.;");
        assert_eq!(
            encode(b".istio_dry_run_allow.shadow_allowed", true),
            "a=.=_istio_dry_run_allow_shadow_allowed;.;"
        );
        let names = StatNames { field_separator: "+".to_owned(), ..StatNames::default() };
        let mut out = String::new();
        Encoder::new(&names, true, 256).label("a", Value::Text(b"wasm+filter.x.y"), &mut out);
        assert_eq!(out, "a=.=wasm_filter_x.y+");
    }

    #[test]
    fn numbers_and_flags_are_written_out() {
        let mut out = String::new();
        let encoder = Encoder::new(&StatNames::default(), false, MAX);
        encoder.label("response_code", Value::Int(404), &mut out);
        encoder.label("response_flags", Value::Flags(1 << 8), &mut out);
        assert_eq!(out, "response_code=.=404;.;response_flags=.=NR;.;");
    }

    #[test]
    fn numbers_and_flags_do_not_hold_separators() {
        let names = StatNames {
            field_separator: ",".to_owned(),
            value_separator: "-".to_owned(),
            ..StatNames::default()
        };
        let encoder = Encoder::new(&names, false, 256);
        let mut out = String::new();
        encoder.label("grpc_response_status", Value::Int(-1), &mut out);
        encoder.label("response_flags", Value::Flags(1 << 5 | 1 << 15), &mut out);
        encoder.label("other_flags", Value::Flags(0), &mut out);
        assert_eq!(out, "grpc_response_status-_1,response_flags-URX_UF,other_flags-_,");
    }

    #[test]
    fn build_info_is_what_istios_regexes_expect() {
        assert_eq!(
            build_info("istio", "proxy", b"1.24.0"),
            "component.proxy.tag.1.24.0;.istio_build"
        );
    }

    proptest! {
        #[test]
        fn any_value_comes_back_as_one_label(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let encoded = encode(&value, true);
            let inner = encoded.strip_prefix("a=.=").unwrap().strip_suffix(";.;").unwrap();
            prop_assert_eq!(encoded.find(";.;"), Some(inner.len() + 4));
            prop_assert!(!inner.contains("=.="));
            prop_assert!(ISTIO_TRAPS.iter().all(|trap| !inner.contains(trap)));
        }

        #[test]
        fn no_value_is_longer_than_allowed(value in proptest::collection::vec(any::<u8>(), 0..900)) {
            prop_assert!(inner(&encode(&value, true)).len() <= MAX);
        }

        #[test]
        fn separators_of_a_hostile_value_are_broken(value in "[;.=ab]{0,12}") {
            let encoded = encode(value.as_bytes(), false);
            prop_assert_eq!(encoded.find(";.;"), Some(encoded.len() - 3));
            prop_assert_eq!(encoded.rfind("=.="), Some(1));
        }
    }
}

//! Configurations that are not to be read, or only just.

use super::random::Random;
use super::{Broken, Version, Wrong, valid};

/// Texts that are no JSON object; so is every one that follows from the valid one by a random change.
pub fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let valid = valid(&Version::new("g", 0));
    let utf16: Vec<u8> = valid.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let not_utf8 = valid.bytes().map(|byte| if byte == b'.' { 0xff } else { byte }).collect();
    // google.protobuf.Struct with one field, as Envoy hands over a configuration that is one.
    let structure = b"\x0a\x11\x0a\x06strict\x12\x07\x1a\x05false".to_vec();
    let nested = |open: &str, levels: usize| open.repeat(levels).into_bytes();
    vec![
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a number", b"5".to_vec()),
        ("a text", b"\"metrics\"".to_vec()),
        ("a text that holds the configuration", serde_json::json!(valid).to_string().into_bytes()),
        ("true", b"true".to_vec()),
        ("a brace", b"{".to_vec()),
        ("10,000 braces", nested("{\"a\":", 10_000)),
        ("100,000 brackets", nested("[", 100_000)),
        ("a list around it", format!("[{valid}]").into_bytes()),
        ("twice", format!("{valid}{valid}").into_bytes()),
        ("with something behind it", format!("{valid} x").into_bytes()),
        ("with a NUL behind it", format!("{valid}\0").into_bytes()),
        ("with a comma too many", valid.trim_end().replace("\n}", ",\n}").into_bytes()),
        ("with single quotes", valid.replace('"', "'").into_bytes()),
        ("with a comment", format!("// a comment\n{valid}").into_bytes()),
        ("YAML", b"metrics:\n- dimensions:\n    a: \"'1'\"\n".to_vec()),
        ("NULs", vec![0; 64]),
        ("UTF-16", utf16),
        ("a Struct", structure),
        ("the head of a gzip file", b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()),
        ("a byte that is not UTF-8", not_utf8),
        ("1 MB of garbage", Random::new(1).bytes(1 << 20)),
        ("1 MB of spaces and a brace", [vec![b' '; 1 << 20], b"{".to_vec()].concat()),
    ]
}

/// Texts that mean the same as nothing at all, and those that are odd but right.
pub fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let many = (0..20_000).map(|_| "\"debug\":false").collect::<Vec<_>>().join(",");
    vec![
        ("nothing", Vec::new()),
        ("spaces", b" \r\n\t ".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("20,000 times the same field", format!("{{{many}}}").into_bytes()),
    ]
}

/// The valid configuration cut off, or with bytes changed, added or taken away anywhere, or random bytes.
pub fn random(version: &Version, random: &mut Random) -> Broken {
    let mut text = valid(version).into_bytes();
    let at = random.below(text.len());
    let what = match random.below(6) {
        0 => {
            text.truncate(at);
            format!("cut off at {at}")
        }
        1 => {
            text[at] ^= 1 << random.below(8);
            format!("a bit at {at}")
        }
        2 => {
            text.remove(at);
            format!("without byte {at}")
        }
        3 => {
            let count = 1 + random.below(8);
            let bytes = random.bytes(count);
            text.splice(at..at, bytes);
            format!("{count} bytes at {at}")
        }
        4 => {
            let other = random.below(text.len());
            let piece = text[at.min(other)..at.max(other)].to_vec();
            text.splice(at..at, piece);
            format!("a piece twice at {at}")
        }
        _ => {
            let count = random.below(4_096);
            text = random.bytes(count);
            format!("{count} random bytes")
        }
    };
    let wrong = if super::edits::is_readable(&text) { Wrong::Nothing } else { Wrong::Everything };
    // Where it is changed is not known.
    Broken { what, wrong, places: vec![String::new()], text }
}

/// All of [`unreadable`] and of [`odd`].
pub fn all() -> Vec<Broken> {
    let broken = |wrong| {
        move |(what, text): (&str, Vec<u8>)| Broken {
            what: what.to_owned(),
            wrong,
            places: vec![String::new()],
            text,
        }
    };
    let unreadable = unreadable().into_iter().map(broken(Wrong::Everything));
    unreadable.chain(odd().into_iter().map(broken(Wrong::Text))).collect()
}

//! Standard base64 (RFC 4648 section 4), as Envoy reads and writes it.

use super::error::Base64Error;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Replaces `out` with the bytes `text` stands for.
///
/// Up to two `=` at the end are dropped and not asked for, as in Envoy's `Base64::decodeWithoutPadding`. Anything
/// else outside the alphabet is refused, white space too, and so is a last character with unused bits set. After an
/// error `out` holds no meaning.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Base64Error> {
    out.clear();
    let digits = without_padding(text);
    if digits.len() % 4 == 1 {
        return Err(Base64Error::Length { len: digits.len() });
    }
    out.reserve(digits.len());
    let (mut pending, mut bits) = (0u32, 0u32);
    for (at, &byte) in digits.iter().enumerate() {
        let digit = value(byte).ok_or(Base64Error::Byte { at, byte })?;
        pending = pending << 6 | u32::from(digit);
        bits = bits.wrapping_add(6);
        if bits >= 8 {
            bits = bits.wrapping_sub(8);
            out.push((pending >> bits) as u8);
            pending &= !(u32::MAX << bits);
        }
    }
    match pending {
        0 => Ok(()),
        _ => Err(Base64Error::TrailingBits),
    }
}

/// The padded text of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.push(digit(word >> 18));
        out.push(digit(word >> 12));
        out.push(group.get(1).map_or(b'=', |_| digit(word >> 6)));
        out.push(group.get(2).map_or(b'=', |_| digit(word)));
    }
    out
}

fn without_padding(text: &[u8]) -> &[u8] {
    let once = text.strip_suffix(b"=").unwrap_or(text);
    once.strip_suffix(b"=").unwrap_or(once)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0').wrapping_add(52)),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn digit(word: u32) -> u8 {
    let at = (word & 0x3f) as usize;
    ALPHABET.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine;
    use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use proptest::prelude::*;

    fn bytes_of(text: &[u8]) -> Result<Vec<u8>, Base64Error> {
        let mut out = b"left over".to_vec();
        decode(text, &mut out).map(|()| out)
    }

    #[test]
    fn reads_the_vectors_of_rfc_4648_with_and_without_padding() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in vectors {
            assert_eq!(encode(plain.as_bytes()), text.as_bytes());
            assert_eq!(bytes_of(text.as_bytes()).unwrap(), plain.as_bytes());
            let bare = text.trim_end_matches('=');
            assert_eq!(bytes_of(bare.as_bytes()).unwrap(), plain.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), b"+//+");
    }

    #[test]
    fn refuses_everything_else() {
        let byte = |at, byte| Err(Base64Error::Byte { at, byte });
        assert_eq!(bytes_of(b"Zm-v"), byte(2, b'-'));
        assert_eq!(bytes_of(b"Zm9v Zg"), byte(4, b' '));
        assert_eq!(bytes_of(b"Zg==Zm9v"), byte(2, b'='));
        assert_eq!(bytes_of(b"Zm9vZ==="), byte(5, b'='));
        assert_eq!(bytes_of(b"Zm\xff\x00"), byte(2, 0xff));
        assert_eq!(bytes_of(b"Zm9vZ"), Err(Base64Error::Length { len: 5 }));
        assert_eq!(bytes_of(b"Zh=="), Err(Base64Error::TrailingBits));
        assert_eq!(bytes_of(b"Zm9"), Err(Base64Error::TrailingBits));
    }

    proptest! {
        #[test]
        fn writes_what_the_base64_crate_writes(plain in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = encode(&plain);
            prop_assert_eq!(&text, &STANDARD.encode(&plain).into_bytes());
            prop_assert_eq!(bytes_of(&text).unwrap(), plain);
        }

        #[test]
        fn accepts_what_the_base64_crate_accepts(text in "[A-Za-z0-9+/]{0,40}[=A-Z\\-]{0,3}") {
            let bare = text.strip_suffix('=').unwrap_or(&text);
            let bare = bare.strip_suffix('=').unwrap_or(bare);
            prop_assert_eq!(bytes_of(text.as_bytes()).ok(), STANDARD_NO_PAD.decode(bare).ok());
        }
    }
}

//! Values as Envoy's `expr_evaluate` hands them to a module.
//!
//! Source: Envoy's Wasm extension (value serialisation), checked against a real Envoy by the end-to-end tests.
//! Strings and bytes are raw; int, uint, double, duration and timestamp (nanoseconds) are 8 bytes little-endian;
//! bool is one byte. A map is a `u32` count, then per pair two `u32` lengths, then per pair key NUL value NUL.
//! A list is a map whose keys are the elements and whose values are empty. No value carries its type.

use std::ops::Range;

/// The pairs of an encoded map (or, as keys, the elements of an encoded list).
///
/// Total: truncated or contradictory input ends the iteration.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    lengths: &'a [u8],
    body: &'a [u8],
    /// Where `body` begins in the text that was parsed.
    offset: usize,
}

// === impl Pairs ===

impl<'a> Pairs<'a> {
    /// Reads the header of an encoded map; `None` when the text is too short for the count it claims.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = split_u32(bytes)?;
        let lengths = usize::try_from(count).ok()?.checked_mul(8)?;
        let (lengths, body) = rest.split_at_checked(lengths)?;
        Some(Self { lengths, body, offset: bytes.len().checked_sub(body.len())? })
    }

    /// Where the next list element lies in the text that was parsed.
    pub fn next_element(&mut self) -> Option<Range<usize>> {
        let start = self.offset;
        let (element, _) = self.next()?;
        Some(start..start.checked_add(element.len())?)
    }

    /// The value of the first pair with this key.
    pub fn get(mut self, key: &[u8]) -> Option<&'a [u8]> {
        self.find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key_len, rest) = split_u32(self.lengths)?;
        let (value_len, rest) = split_u32(rest)?;
        let (key, body) = split_terminated(self.body, key_len)?;
        let (value, body) = split_terminated(body, value_len)?;
        self.offset = self.offset.checked_add(self.body.len())?.checked_sub(body.len())?;
        self.lengths = rest;
        self.body = body;
        Some((key, value))
    }
}

/// An int, uint, double's bits, duration or timestamp; `None` for a value of another length.
pub fn int(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}

/// A bool; `None` for a value of another length.
pub fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [b] => Some(*b != 0),
        _ => None,
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head), rest))
}

fn split_terminated(bytes: &[u8], len: u32) -> Option<(&[u8], &[u8])> {
    let (item, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    Some((item, rest.strip_prefix(b"\0")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `[2, 'k']`, as a real Envoy 1.40 encodes it.
    const LIST: &[u8] =
        b"\x02\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0k\0\0";

    #[test]
    fn a_list_is_pairs_with_empty_values() {
        let elements: Vec<_> = Pairs::parse(LIST).into_iter().flatten().collect();
        assert_eq!(elements, [(&b"\x02\0\0\0\0\0\0\0"[..], &b""[..]), (b"k", b"")]);
        let mut pairs = Pairs::parse(LIST);
        let mut next = || LIST.get(pairs.as_mut()?.next_element()?);
        assert_eq!(next(), Some(&b"\x02\0\0\0\0\0\0\0"[..]));
        assert_eq!(next(), Some(&b"k"[..]));
        assert_eq!(next(), None);
    }

    #[test]
    fn scalars_need_their_exact_length() {
        assert_eq!(int(&200i64.to_le_bytes()), Some(200));
        assert_eq!(int(b"1234567"), None);
        assert_eq!(boolean(&[1]), Some(true));
        assert_eq!(boolean(&[]), None);
    }

    #[test]
    fn a_claimed_count_beyond_the_text_is_refused() {
        assert!(Pairs::parse(b"\xff\xff\xff\xff").is_none());
        assert!(Pairs::parse(b"").is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let total: usize = Pairs::parse(&bytes).into_iter().flatten().map(|(k, v)| k.len() + v.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}

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
}

/// Where the elements of an encoded list lie.
///
/// Total: truncated or contradictory input ends the iteration.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    lengths: &'a [u8],
    next: usize,
    end: usize,
}

/// Bytes that the two lengths of a pair take.
pub(crate) const LENGTHS: usize = 8;

// === impl Pairs ===

impl<'a> Pairs<'a> {
    /// Reads the header of an encoded map; `None` when the text is too short for the count it claims.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = split_u32(bytes)?;
        let lengths = usize::try_from(count).ok()?.checked_mul(LENGTHS)?;
        let (lengths, body) = rest.split_at_checked(lengths)?;
        Some(Self { lengths, body })
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
        self.lengths = rest;
        self.body = body;
        Some((key, value))
    }
}

// === impl Elements ===

impl<'a> Elements<'a> {
    /// Reads the header of the list that begins at `start`; `None` when the text is too short for the count it claims.
    pub fn parse(bytes: &'a [u8], start: usize) -> Option<Self> {
        let Pairs { lengths, body } = Pairs::parse(bytes.get(start..)?)?;
        let end = bytes.len();
        Some(Self { lengths, next: end.checked_sub(body.len())?, end })
    }

    /// How many are still to come.
    pub fn left(&self) -> usize {
        self.lengths.len() / LENGTHS
    }

    /// Where the next one begins.
    pub fn place(&self) -> usize {
        self.next
    }
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let (lengths, rest) = self.lengths.split_first_chunk::<LENGTHS>()?;
        // No value belongs to it: its length, the upper half, is zero.
        let len = usize::try_from(u64::from_le_bytes(*lengths)).ok()?;
        let end = self.next.checked_add(len)?;
        let place = self.next..end;
        self.lengths = rest;
        self.next = end.checked_add(TERMINATORS)?;
        (self.next <= self.end).then_some(place)
    }
}

/// Bytes behind an element: it and its empty value end with NUL.
const TERMINATORS: usize = 2;

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
    }

    #[test]
    fn elements_lie_behind_their_lengths() {
        let behind = [b"123", LIST].concat();
        let mut elements = Elements::parse(&behind, 3);
        assert_eq!(elements.as_ref().map(Elements::left), Some(2));
        let mut next = || behind.get(elements.as_mut()?.next()?);
        assert_eq!(next(), Some(&b"\x02\0\0\0\0\0\0\0"[..]));
        assert_eq!(next(), Some(&b"k"[..]));
        assert_eq!(next(), None);
        let short = LIST.get(..LIST.len() - 1).unwrap_or_default();
        assert_eq!(Elements::parse(short, 0).into_iter().flatten().count(), 1);
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
            let places = Elements::parse(&bytes, 0);
            prop_assert!(places.into_iter().flatten().all(|place| bytes.get(place).is_some()));
        }
    }
}

//! Label values that are too long: cut, with a hash of the whole behind, so that two of them stay two.

/// What takes the place of the rest: [`MARK`] and 16 hexadecimal digits.
pub const SUFFIX_BYTES: usize = 17;

/// Stands between what is left of a value and its hash.
pub const MARK: char = '~';

/// A value that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Its begin; ends between two characters.
    pub head: &'a [u8],
    /// Hash of all of it.
    pub hash: u64,
}

// === impl Cut ===

impl<'a> Cut<'a> {
    /// Cuts a value of more than `max` bytes; `None` for one that is short enough.
    pub fn of(value: &'a [u8], max: usize) -> Option<Self> {
        if value.len() <= max {
            return None;
        }
        let longest = max.saturating_sub(SUFFIX_BYTES);
        Some(Self { head: begin(value, longest), hash: hash(value) })
    }
}

/// At most `longest` bytes of a text, and no part of a character.
fn begin(value: &[u8], longest: usize) -> &[u8] {
    let inside = |end: &usize| value.get(*end).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has at most three bytes behind its first; in what is not UTF-8 there may be any number.
    let backwards = (longest.saturating_sub(3)..=longest).rev();
    let end = backwards.into_iter().find(|end| !inside(end)).unwrap_or(longest);
    value.get(..end).unwrap_or_default()
}

/// FNV-1a of 64 bits, eight bytes at a time as long as there are eight: of a header of 60 KB every byte would cost.
///
/// It is the same in every worker, version and replica, as the names of series have to be. Nobody is kept from making two
/// values of his own collide; they would be one series, and every total stay exact.
pub fn hash(value: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let (words, rest) = value.as_chunks::<8>();
    let hash = words.iter().fold(BASIS, |hash, word| {
        let hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        // Multiplied alone, the upper half would never reach the lower one.
        hash ^ (hash >> 32)
    });
    rest.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_enough_is_not_cut() {
        assert_eq!(Cut::of(&[b'a'; 32], 32), None);
        assert_eq!(Cut::of(&[b'a'; 33], 32).unwrap().head, [b'a'; 15]);
    }

    #[test]
    fn characters_are_not_cut() {
        for (text, len) in
            [("aaaaaaaaaaaaaaä", 14), ("aaaaaaaaaaaaaa☃", 14), ("aaaaaaaaaaaa🦀", 12)]
        {
            let value = text.repeat(3);
            let head = Cut::of(value.as_bytes(), 32).unwrap().head;
            assert_eq!(std::str::from_utf8(head).unwrap().len(), len, "{text}");
        }
        assert_eq!(Cut::of(&[0x80; 40], 32).unwrap().head, [0x80; 15]);
    }

    /// Vectors of the FNV authors (draft-eastlake-fnv), and two of an implementation in another language.
    #[test]
    fn the_hash_is_fnv_1a_by_words() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(hash(b"eight by"), 0xb13aaa41c8878081);
        assert_eq!(hash(b"seventeen letters"), 0xc45cf63c95eaa07a);
    }
}

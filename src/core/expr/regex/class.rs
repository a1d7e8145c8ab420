//! Sets of code points, and their cutting into UTF-8 byte ranges.

/// Inclusive ranges of code points; sorted and apart after [`Class::normal`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Class(pub Vec<(u32, u32)>);

const LAST: u32 = 0x10_FFFF;

impl Class {
    pub fn one(c: char) -> Self {
        Class(vec![(c as u32, c as u32)])
    }

    pub fn any() -> Self {
        Class(vec![(0, LAST)])
    }

    /// The ASCII classes `d`, `s`, `w` of RE2.
    pub fn perl(letter: u8) -> Option<Self> {
        let ranges: &[(u8, u8)] = match letter {
            b'd' => &[(b'0', b'9')],
            b's' => &[(b'\t', b'\n'), (12, 13), (b' ', b' ')],
            b'w' => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
            _ => return None,
        };
        Some(Self::ascii(ranges))
    }

    /// `[:name:]` of RE2.
    pub fn posix(name: &str) -> Option<Self> {
        let ranges: &[(u8, u8)] = match name {
            "alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
            "alpha" => &[(b'A', b'Z'), (b'a', b'z')],
            "ascii" => &[(0, 127)],
            "blank" => &[(b'\t', b'\t'), (b' ', b' ')],
            "cntrl" => &[(0, 31), (127, 127)],
            "digit" => &[(b'0', b'9')],
            "graph" => &[(b'!', b'~')],
            "lower" => &[(b'a', b'z')],
            "print" => &[(b' ', b'~')],
            "punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
            "space" => &[(b'\t', b'\r'), (b' ', b' ')],
            "upper" => &[(b'A', b'Z')],
            "word" => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
            "xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
            _ => return None,
        };
        Some(Self::ascii(ranges))
    }

    fn ascii(ranges: &[(u8, u8)]) -> Self {
        Class(ranges.iter().map(|(lo, hi)| (u32::from(*lo), u32::from(*hi))).collect())
    }

    pub fn add(&mut self, other: Class) {
        self.0.extend(other.0);
    }

    /// Sorted, merged.
    pub fn normal(self) -> Self {
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.0.len());
        for (mut lo, mut hi) in self.0 {
            // Ranges that touch this one become part of it; classes are short.
            merged.retain(|(from, to)| {
                let apart = *to + 1 < lo || hi + 1 < *from;
                if !apart {
                    (lo, hi) = (lo.min(*from), hi.max(*to));
                }
                apart
            });
            let at = merged.partition_point(|(from, _)| *from < lo);
            merged.insert(at, (lo, hi));
        }
        Class(merged)
    }

    pub fn negated(self) -> Self {
        let mut gaps = Vec::new();
        let mut from = 0;
        for (lo, hi) in self.normal().0 {
            if lo > from {
                gaps.push((from, lo - 1));
            }
            from = hi + 1;
        }
        if from <= LAST {
            gaps.push((from, LAST));
        }
        Class(gaps)
    }

    /// With both cases of every letter, as RE2's `(?i)`; `None` if that reaches beyond the ASCII letters.
    pub fn folded(mut self) -> Option<Self> {
        let mut more = Vec::new();
        for (lo, hi) in &self.0 {
            if *hi > 127 {
                return None;
            }
            for c in (*lo..=*hi).filter_map(char::from_u32).filter(char::is_ascii_alphabetic) {
                more.push((c as u32 ^ 32, c as u32 ^ 32));
                match c.to_ascii_lowercase() {
                    'k' => more.push((0x212A, 0x212A)),
                    's' => more.push((0x17F, 0x17F)),
                    _ => {}
                }
            }
        }
        self.0.extend(more);
        Some(self)
    }

    /// The UTF-8 encodings of the class: each item is a sequence of one to four byte ranges.
    pub fn sequences(&self) -> Vec<Sequence> {
        let mut out = Vec::new();
        for (lo, hi) in &self.0 {
            let (lo, hi) = (*lo, *hi);
            // Surrogates have no UTF-8 form.
            for (lo, hi) in [(lo, hi.min(0xD7FF)), (lo.max(0xE000), hi)] {
                for (first, last) in [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x1_0000, LAST)] {
                    split(lo.max(first), hi.min(last), &mut out);
                }
            }
        }
        out
    }
}

/// Byte ranges, first byte first.
pub(super) type Sequence = Vec<(u8, u8)>;

/// Code points of one encoded length, cut until every byte position is one range.
fn split(lo: u32, hi: u32, out: &mut Vec<Sequence>) {
    if lo > hi {
        return;
    }
    for bits in [6, 12, 18] {
        let mask = (1 << bits) - 1;
        if lo >> bits == hi >> bits || lo < 0x80 {
            continue;
        }
        if lo & mask != 0 {
            split(lo, lo | mask, out);
            return split((lo | mask) + 1, hi, out);
        }
        if hi & mask != mask {
            split(lo, (hi & !mask) - 1, out);
            return split(hi & !mask, hi, out);
        }
    }
    out.push(encode(lo).into_iter().zip(encode(hi)).collect());
}

fn encode(code: u32) -> Vec<u8> {
    let low = |shift: u32| 0x80 | (code >> shift & 0x3F) as u8;
    match code {
        0..=0x7F => vec![code as u8],
        0x80..=0x7FF => vec![0xC0 | (code >> 6) as u8, low(0)],
        0x800..=0xFFFF => vec![0xE0 | (code >> 12) as u8, low(6), low(0)],
        _ => vec![0xF0 | (code >> 18) as u8, low(12), low(6), low(0)],
    }
}

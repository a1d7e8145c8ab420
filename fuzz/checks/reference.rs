//! Path templates a second time, from their documentation alone and without a thought for speed.

/// A template's segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Vec<u8>),
    /// Text, parameter, text, ... parameter, text.
    Mixed(Vec<Vec<u8>>),
    Param,
    Rest,
}

/// Precedence, the least first: a literal, text around parameters (more text, more of it in front, fewer parameters),
/// a parameter, the rest; segment by segment.
pub(crate) type Rank = Vec<(u8, i64, i64, usize, std::cmp::Reverse<Vec<Vec<u8>>>)>;

// === impl Template ===

impl Template {
    /// Reads a template; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix('/')?;
        let parts: Vec<&str> = path.split('/').collect();
        if text.len() > 2048 || parts.len() > 64 || path.contains('?') || path.contains('#') {
            return None;
        }
        let segments: Vec<Segment> =
            parts.into_iter().map(Segment::parse).collect::<Option<_>>()?;
        let rest = segments.iter().position(|segment| *segment == Segment::Rest);
        (rest.is_none_or(|at| at + 1 == segments.len())).then_some(Self { segments })
    }

    /// Whether a path, which may have a query, matches.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let path = normal(path.split(|byte| *byte == b'?' || *byte == b'#').next().unwrap_or(b""));
        if path.first() != Some(&b'/') {
            return false;
        }
        let parts: Vec<&[u8]> = path[1..].split(|byte| *byte == b'/').collect();
        let open = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(open);
        let enough = if open { parts.len() > fixed } else { parts.len() == fixed };
        enough && self.segments.iter().zip(parts).all(|(segment, part)| segment.fits(part))
    }

    pub(crate) fn rank(&self) -> Rank {
        self.segments.iter().map(Segment::rank).collect()
    }
}

// === impl Segment ===

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let mut pieces = vec![String::new()];
        let mut names: Vec<String> = Vec::new();
        let mut inside = false;
        for c in text.chars() {
            match (c, inside) {
                ('{', false) => {
                    inside = true;
                    names.push(String::new());
                }
                ('}', true) => {
                    inside = false;
                    pieces.push(String::new());
                }
                ('{', true) | ('}', false) => return None,
                (c, true) => names.last_mut()?.push(c),
                (c, false) => pieces.last_mut()?.push(c),
            }
        }
        if inside {
            return None;
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let valid = |name: &str| !name.is_empty() && name.chars().all(known);
        if names.iter().any(|name| name.starts_with('*')) {
            let alone = names.len() == 1 && pieces.iter().all(String::is_empty);
            return (alone && valid(&names[0][1..])).then_some(Segment::Rest);
        }
        if !names.iter().all(|name| valid(name)) {
            return None;
        }
        if pieces.len() > 2 && pieces[1..pieces.len() - 1].iter().any(String::is_empty) {
            return None;
        }
        let mut pieces: Vec<Vec<u8>> =
            pieces.iter().map(|piece| normal(piece.as_bytes())).collect();
        Some(match pieces.len() {
            1 => Segment::Literal(pieces.remove(0)),
            2 if pieces.iter().all(Vec::is_empty) => Segment::Param,
            _ => Segment::Mixed(pieces),
        })
    }

    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Segment::Literal(literal) => literal == text,
            Segment::Param => !text.is_empty(),
            Segment::Rest => true,
            Segment::Mixed(pieces) => {
                // Where the text may stand after each piece.
                let mut ends: Vec<usize> =
                    if text.starts_with(&pieces[0]) { vec![pieces[0].len()] } else { vec![] };
                for piece in &pieces[1..] {
                    ends = (0..=text.len())
                        .filter(|at| {
                            ends.iter().any(|end| end < at) && text[*at..].starts_with(piece)
                        })
                        .map(|at| at + piece.len())
                        .collect();
                }
                ends.contains(&text.len())
            }
        }
    }

    fn rank(&self) -> (u8, i64, i64, usize, std::cmp::Reverse<Vec<Vec<u8>>>) {
        let (class, pieces) = match self {
            Segment::Literal(_) => (0, Vec::new()),
            Segment::Mixed(pieces) => (1, pieces.clone()),
            Segment::Param => (2, Vec::new()),
            Segment::Rest => (3, Vec::new()),
        };
        let total: usize = pieces.iter().map(Vec::len).sum();
        let front = pieces.first().map_or(0, Vec::len);
        (class, -(total as i64), -(front as i64), pieces.len(), std::cmp::Reverse(pieces))
    }
}

/// Percent-encodings decoded, but for `%2F` and `%25`; a percent sign that encodes nothing is `%25`.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let code = path.get(at + 1..at + 3).filter(|code| code.iter().all(u8::is_ascii_hexdigit));
        let byte =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match (path[at], byte) {
            (b'%', Some(b'/')) => out.extend(b"%2F"),
            (b'%', Some(b'%') | None) => out.extend(b"%25"),
            (b'%', Some(byte)) => out.push(byte),
            (byte, _) => out.push(byte),
        }
        at += if path[at] == b'%' && byte.is_some() { 3 } else { 1 };
    }
    out
}

//! Path templates: syntax and normal form.
//!
//! # Syntax
//! - A template begins with `/` and is compared segment by segment: `/users/{id}/orders/{order_id}`.
//! - `{name}` stands for one or more bytes of one segment. It may stand beside text: `/files/{name}.json`.
//! - `{*name}` as the last segment stands for the rest of the path, slashes included, also for an empty rest:
//!   `/static/{*rest}` matches `/static/` and `/static/css/a.css`, not `/static`.
//! - gRPC paths are templates without parameters: `/pkg.Service/Method`.
//!
//! # Rules of comparison
//! - A query (`?...`) or fragment (`#...`) of a request's path is ignored; a template has neither.
//! - A trailing slash counts: `/users` and `/users/` are two paths, as in OpenAPI and in Envoy's routes.
//! - Percent-encodings are decoded on both sides (RFC 3986, 6.2.2.2), so `/a%20b`, `/a b` and `/%61 b` are one path.
//!   An encoded slash stays a part of its segment: `%2F` never separates.
//! - Letters have case. Dot segments and doubled slashes are taken as received: the proxy normalises paths, not we.

use core::fmt;

/// Longest template in bytes.
pub const MAX_TEMPLATE: usize = 2048;
/// Most segments of one template; it bounds the depth of the search.
pub const MAX_SEGMENTS: usize = 64;

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pub(super) segments: Box<[Segment]>,
}

/// One segment, names of parameters dropped. The order is the order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    Literal(Box<[u8]>),
    /// Text around parameters: one piece more than parameters.
    Mixed(Box<[Box<[u8]>]>),
    Param,
    Rest,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidTemplate {
    /// Does not begin with `/`.
    NoSlash,
    /// A brace without its partner.
    Brace,
    /// `{}` or a name with characters other than letters, digits, `_`, `-` and `.`.
    Name(String),
    /// `{*rest}` before the last segment or beside other text.
    Rest,
    /// Two parameters without text between them.
    Adjacent,
    /// `?` or `#`.
    Query,
    /// Longer than [`MAX_TEMPLATE`] or [`MAX_SEGMENTS`].
    TooLong,
}

// === impl Template ===

impl Template {
    /// Reads a template.
    ///
    /// ```
    /// use opmeter_core::operation::Template;
    /// let template = Template::parse("/users/{id}").unwrap();
    /// assert!(template.matches(b"/users/7?verbose"));
    /// assert!(!template.matches(b"/users/7/"));
    /// assert_eq!(
    ///     Template::parse("/users/{id").unwrap_err().to_string(),
    ///     "unbalanced \"{\" or \"}\""
    /// );
    /// ```
    ///
    /// # Errors
    /// What is wrong, without the template's text.
    pub fn parse(text: &str) -> Result<Template, InvalidTemplate> {
        let path = text.strip_prefix('/').ok_or(InvalidTemplate::NoSlash)?;
        if text.len() > MAX_TEMPLATE || path.split('/').count() > MAX_SEGMENTS {
            return Err(InvalidTemplate::TooLong);
        }
        if path.contains(['?', '#']) {
            return Err(InvalidTemplate::Query);
        }
        let segments: Box<[Segment]> = path.split('/').map(segment).collect::<Result<_, _>>()?;
        let before_last = segments.len() - 1;
        if segments.iter().take(before_last).any(|segment| *segment == Segment::Rest) {
            return Err(InvalidTemplate::Rest);
        }
        Ok(Template { text: text.into(), segments })
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a request's path matches. The tree answers the same for many templates at once; this is its definition.
    pub fn matches(&self, path: &[u8]) -> bool {
        let path = normal(cut(path));
        let Some(mut rest) = path.strip_prefix(b"/") else { return false };
        let mut segments = self.segments.iter();
        while let Some(segment) = segments.next() {
            if *segment == Segment::Rest {
                return true;
            }
            let len = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let (own, tail) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            if !segment.holds(own) {
                return false;
            }
            match tail.split_first() {
                None => return segments.next().is_none(),
                Some((_, tail)) => rest = tail,
            }
        }
        false
    }
}

fn segment(text: &str) -> Result<Segment, InvalidTemplate> {
    let mut pieces: Vec<Box<[u8]>> = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        let (name, after) = tail.split_once('}').ok_or(InvalidTemplate::Brace)?;
        if let Some(name) = name.strip_prefix('*') {
            check_name(name)?;
            let alone = pieces.is_empty() && before.is_empty() && after.is_empty();
            return if alone { Ok(Segment::Rest) } else { Err(InvalidTemplate::Rest) };
        }
        check_name(name)?;
        if before.is_empty() && !pieces.is_empty() {
            return Err(InvalidTemplate::Adjacent);
        }
        pieces.push(literal(before)?);
        rest = after;
    }
    let last = literal(rest)?;
    Ok(match pieces.as_slice() {
        [] => Segment::Literal(last),
        [first] if first.is_empty() && last.is_empty() => Segment::Param,
        _ => {
            pieces.push(last);
            Segment::Mixed(pieces.into())
        }
    })
}

fn literal(text: &str) -> Result<Box<[u8]>, InvalidTemplate> {
    match text.contains(['{', '}']) {
        true => Err(InvalidTemplate::Brace),
        false => Ok(normal(text.as_bytes()).as_ref().into()),
    }
}

fn check_name(name: &str) -> Result<(), InvalidTemplate> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match !name.is_empty() && name.bytes().all(known) {
        true => Ok(()),
        false => Err(InvalidTemplate::Name(name.into())),
    }
}

// === impl Segment ===

impl Segment {
    /// Whether one segment of a path, in normal form, fits.
    pub fn holds(&self, text: &[u8]) -> bool {
        match self {
            Segment::Literal(literal) => **literal == *text,
            Segment::Mixed(pieces) => mixed(pieces, text),
            Segment::Param => !text.is_empty(),
            Segment::Rest => true,
        }
    }
}

/// Whether `text` is the pieces in their order, with one or more bytes between them.
pub(super) fn mixed(pieces: &[Box<[u8]>], text: &[u8]) -> bool {
    let Some((first, pieces)) = pieces.split_first() else { return false };
    let Some((last, middle)) = pieces.split_last() else { return false };
    let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last))
    else {
        return false;
    };
    for piece in middle {
        // The leftmost place leaves the most for what follows.
        let at = rest.get(1..).and_then(|r| r.windows(piece.len()).position(|w| *w == **piece));
        match at.and_then(|at| rest.get(1 + at + piece.len()..)) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    !rest.is_empty()
}

/// The path without query and fragment.
pub(super) fn cut(path: &[u8]) -> &[u8] {
    let len = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.get(..len).unwrap_or(path)
}

/// A path with every percent-encoding decoded but `%2F` and `%25`, which keep their meaning that way. A percent sign
/// that encodes nothing counts as `%25`.
pub(super) fn normal(path: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return path.into();
    }
    let mut out = Vec::with_capacity(path.len());
    decode(path, &mut out);
    out.into()
}

/// Appends the normal form of `path`.
pub(super) fn decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        match (digit(tail.first()), digit(tail.get(1))) {
            (Some(high), Some(low)) => {
                rest = tail.get(2..).unwrap_or(&[]);
                match high << 4 | low {
                    b'/' => out.extend_from_slice(b"%2F"),
                    b'%' => out.extend_from_slice(b"%25"),
                    byte => out.push(byte),
                }
            }
            _ => out.extend_from_slice(b"%25"),
        }
    }
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    (*byte? as char).to_digit(16).map(|digit| digit as u8)
}

// === impl InvalidTemplate ===

impl fmt::Display for InvalidTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidTemplate::NoSlash => f.write_str("a path template begins with \"/\""),
            InvalidTemplate::Brace => f.write_str("unbalanced \"{\" or \"}\""),
            InvalidTemplate::Name(name) => write!(
                f,
                "invalid parameter name \"{name}\", allowed are letters, digits, \"_\", \"-\" and \".\""
            ),
            InvalidTemplate::Rest => f.write_str("\"{*name}\" has to be the whole last segment"),
            InvalidTemplate::Adjacent => f.write_str("two parameters need text between them"),
            InvalidTemplate::Query => f.write_str("a path template has no query or fragment"),
            InvalidTemplate::TooLong => {
                write!(f, "longer than {MAX_TEMPLATE} bytes or {MAX_SEGMENTS} segments")
            }
        }
    }
}

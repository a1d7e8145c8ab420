//! A text inside a text: the plugin configuration as a string in a bootstrap or an EnvoyFilter.

use super::node::{Node, Style};
use super::parse::{Broken, parse};

/// The text of a scalar, and where each of its bytes stands in the file.
#[derive(Debug)]
pub struct Embedded {
    /// The text.
    pub text: String,
    /// Byte of the file for each byte of the text and for its end.
    places: Vec<usize>,
}

/// The text of a scalar; `None` for anything else.
pub fn embedded(node: &Node, file: &str) -> Option<Embedded> {
    let super::Kind::Scalar(text, style) = &node.kind else { return None };
    let written = file.get(node.span.clone()).unwrap_or_default();
    let known = match style {
        Style::Literal => literal(text, file, node.span.start).map(|places| {
            places.into_iter().map(|at| at.saturating_sub(node.span.start)).collect()
        }),
        Style::Double => quoted(written, '"', double),
        Style::Single => quoted(written, '\'', single),
        Style::Plain => Some((0..text.len()).map(|at| at.min(written.len())).collect()),
        Style::Folded => None,
    };
    let places = match known {
        Some(known) if known.len() == text.len() => known,
        // Folded lines: the beginning is what can be told for sure.
        _ => vec![0; text.len()],
    };
    let end = places.last().map_or(0, |last| last + 1);
    let places = places.into_iter().chain([end]).map(|at| node.span.start + at).collect();
    Some(Embedded { text: text.clone(), places })
}

// === impl Embedded ===

impl Embedded {
    /// Where a byte of the text stands in the file.
    pub fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).copied().unwrap_or_default()
    }

    /// The text read as YAML or JSON, with places in the file.
    ///
    /// # Errors
    /// The place in the file that is neither.
    pub fn parse(&self) -> Result<Option<Node>, Broken> {
        let documents =
            parse(&self.text).map_err(|broken| Broken { at: self.place(broken.at), ..broken })?;
        Ok(documents.into_iter().next().map(|node| node.moved(&|at| self.place(at))))
    }
}

/// Lines of a `|` block that begins at a byte of the file, its first indentation left out. What the parser took away from
/// each line is the same number of spaces.
fn literal(text: &str, file: &str, start: usize) -> Option<Vec<usize>> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let blank = text.lines().take_while(|line| line.trim().is_empty()).count();
    let mut line_start = file.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let kept = first.len() - first.trim_start_matches(' ').len();
    let indent = (start - line_start).checked_sub(kept)?;
    let mut places = Vec::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if number < blank {
            places.extend(line.bytes().map(|_| start));
            continue;
        }
        let own = file.get(line_start..)?.split('\n').next()?;
        let skip = indent.min(own.len());
        places.extend((0..line.len()).map(|byte| line_start + skip + byte));
        line_start += own.len() + 1;
    }
    Some(places)
}

/// A quoted scalar on one line. `unit` gives the bytes of the next piece as written and as read.
fn quoted(
    written: &str,
    quote: char,
    unit: fn(&str) -> Option<(usize, usize)>,
) -> Option<Vec<usize>> {
    let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
    if inner.contains('\n') {
        return None;
    }
    let mut places = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        let (as_written, as_read) = unit(&inner[at..])?;
        // Bytes of one character that is not escaped follow each other; an escape is at its beginning.
        places
            .extend((0..as_read).map(|byte| 1 + at + if as_written == as_read { byte } else { 0 }));
        at += as_written;
    }
    Some(places)
}

fn single(rest: &str) -> Option<(usize, usize)> {
    let len = rest.chars().next()?.len_utf8();
    Some(if rest.starts_with("''") { (2, 1) } else { (len, len) })
}

fn double(rest: &str) -> Option<(usize, usize)> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let hex = |digits: usize| {
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((2 + digits, char::from_u32(code)?.len_utf8()))
    };
    match chars.next()? {
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        'N' | '_' => Some((2, 2)),
        'L' | 'P' => Some((2, 3)),
        _ => Some((2, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::embedded;

    /// The inner value of the key `k` of a text in the key `value`, as the file has it.
    #[track_caller]
    fn seen(file: &str) -> &str {
        let node = parse(file).unwrap().remove(0);
        let inner = embedded(node.get("value").unwrap(), file).unwrap().parse().unwrap().unwrap();
        &file[inner.get("k").unwrap().span.clone()]
    }

    #[test]
    fn values_inside_a_text_have_places_in_the_file() {
        assert_eq!(seen("value: |\n    {\n      \"k\": \"x\"\n    }\nb: 1\n"), "\"x\"");
        assert_eq!(seen("a: {}\nvalue: |-\n  a: 1\n  k: x\n"), "x");
        assert_eq!(seen("a:\n- value: 1\nvalue: |\n\n   {\n\n    \"k\": 7}\n"), "7");
        assert_eq!(seen("value: '{\"k\": \"it''s\"}'\n"), "\"it''s\"");
        assert_eq!(seen("value: \"{\\\"k\\\": 12}\"\n"), "12");
        assert_eq!(seen("{\"value\": \"{\\\"k\\\":\\u0020[1]}\"}"), "[1]");
    }
}

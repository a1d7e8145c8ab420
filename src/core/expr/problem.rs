//! Problems of an expression, rendered with the source and carets.

use core::fmt;

/// Bytes `start..end` of an expression's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// No CEL host can take the expression.
    Error,
    /// The expression can be evaluated, but hardly means what was meant.
    Warning,
}

/// One finding about an expression: lower case, no trailing stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the expression is refused.
    pub severity: Severity,
    /// The place in the text.
    pub span: Span,
    /// What was found and what is allowed.
    pub message: String,
}

// === impl Span ===

impl Span {
    /// Bytes `start..end`; offsets beyond 4 GB cannot occur, texts are bounded by [`super::limits::MAX_TEXT`].
    pub fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Line and column, both from one; the column counts characters.
    ///
    /// ```
    /// use opmeter_core::expr::Span;
    /// assert_eq!(Span::new(4, 5).line_column("a\nbcd"), (2, 3));
    /// ```
    pub fn line_column(self, text: &str) -> (usize, usize) {
        let before = text.get(..self.start as usize).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before.get(start..).unwrap_or("").chars().count() + 1)
    }
}

// === impl Problem ===

impl Problem {
    pub(super) fn error(span: Span, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, span, message: message.into() }
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, span, message: message.into() }
    }

    /// `LINE:COLUMN: message`.
    pub fn line(&self, text: &str) -> String {
        let (line, column) = self.span.line_column(text);
        format!("{line}:{column}: {}", self.message)
    }

    /// [`Problem::line`], then the source line with carets under the place.
    ///
    /// ```
    /// use opmeter_core::expr::{Slots, Vocabulary, compile};
    /// let text = "request.method = 'GET'";
    /// let problems = compile(text, &Vocabulary::default(), &mut Slots::default()).unwrap_err();
    /// assert_eq!(problems[0].render(text), "\
    /// 1:16: unexpected \"=\" (did you mean \"==\"?)
    ///   request.method = 'GET'
    ///                  ^");
    /// ```
    pub fn render(&self, text: &str) -> String {
        let (line, column) = self.span.line_column(text);
        let told = self.line(text);
        let source = text.lines().nth(line - 1).unwrap_or("");
        let len = (self.span.end.saturating_sub(self.span.start)) as usize;
        let rest = source.chars().count().saturating_sub(column - 1);
        let carets = text
            .get(self.span.start as usize..self.span.end as usize)
            .map_or(len, |s| s.chars().count())
            .clamp(1, rest.max(1));
        let (pad, marks) = (" ".repeat(column - 1), "^".repeat(carets));
        format!("{told}\n  {source}\n  {pad}{marks}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// ` (did you mean "X"?)` for the nearest of `known`, or nothing when none is near: at most a third of the
/// letters may differ.
pub(super) fn hint<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> String {
    let allowed = found.len() / 3;
    let near = known.map(|name| (distance(found, name), name)).min_by_key(|(d, _)| *d);
    match near {
        Some((d, name)) if d <= allowed.max(1) => format!(" (did you mean \"{name}\"?)"),
        _ => String::new(),
    }
}

/// Levenshtein distance in bytes; names are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let change = diagonal + usize::from(x != y);
            diagonal = *slot;
            left = change.min(diagonal + 1).min(left + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(
            hint("request.meth", ["request.method"].into_iter()),
            " (did you mean \"request.method\"?)"
        );
        assert_eq!(hint("abc", ["request.method"].into_iter()), "");
    }
}

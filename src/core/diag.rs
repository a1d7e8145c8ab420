//! Problems of a configuration, for people.

use crate::limits::MAX_SUGGESTION_DISTANCE;
use std::fmt;

/// How serious a problem is. Either way the part that it concerns is left out, and all others are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// What is written cannot have been meant: an unknown field, a value of a wrong type.
    Error,
    /// Istio leaves such a part out without a word, so it may be there on purpose.
    Warning,
}

/// One problem: where (JSON path), and what was found against what is allowed.
///
/// `Display` gives one line: `metrics[0].nam: unknown field (did you mean "name"?); ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// JSON path such as `attributes[2].match[0].condition`; `configuration` for the whole text.
    pub path: String,
    /// Lower case, without a full stop.
    pub message: String,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// What cannot have been meant.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), message: message.into() }
    }

    /// What Istio leaves out as well.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, path: path.into(), message: message.into() }
    }

    /// The same problem under `strict`.
    #[must_use]
    pub fn into_error(self) -> Self {
        Self { severity: Severity::Error, ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The name nearest to `found`, when one is near enough to be what was meant.
///
/// ```
/// assert_eq!(opmeter_core::diag::nearest("dimension", ["drop", "dimensions"]), Some("dimensions"));
/// assert_eq!(opmeter_core::diag::nearest("colour", ["drop", "dimensions"]), None);
/// ```
pub fn nearest<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = MAX_SUGGESTION_DISTANCE.min(found.len().div_ceil(2));
    allowed
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Whether `found` is `name` with a slip of the keyboard: nearer than [`nearest`] asks for, as more follows from it than a
/// hint. A field of a later version is none.
pub(crate) fn is_misspelt(found: &str, name: &str) -> bool {
    let letters = |text: &str| {
        let mut letters: Vec<u8> = text.bytes().map(|c| c.to_ascii_lowercase()).collect();
        letters.sort_unstable();
        letters
    };
    let slips = if name.len() > 4 { 2 } else { 1 };
    distance(found, name) <= slips || letters(found) == letters(name)
}

/// ` (did you mean "x"?)` or nothing.
pub(crate) fn suggestion<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    nearest(found, allowed).map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default()
}

/// Edit distance (insert, delete, replace), case-insensitive.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(x != *y));
            diagonal = *cell;
            left = replaced.min(diagonal.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Name", "name"), 0);
    }

    #[test]
    fn a_slip_is_no_other_word() {
        for (found, name) in
            [("nam", "name"), ("naem", "name"), ("mtach", "match"), ("conditoin", "condition")]
        {
            assert!(is_misspelt(found, name), "{found}");
        }
        for (found, name) in [("later", "name"), ("time", "name"), ("matcher_v2", "match")] {
            assert!(!is_misspelt(found, name), "{found}");
        }
    }

    #[test]
    fn a_far_name_is_not_offered() {
        assert_eq!(nearest("x", ["name"]), None);
        assert_eq!(nearest("nam", ["drop", "name"]), Some("name"));
    }
}

//! Problems of a configuration, told to a person.

use crate::limits::MAX_SUGGESTION_DISTANCE;
use std::fmt;

/// Whether a problem refuses the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// A part is left out, as Istio does; `strict` turns it into an error.
    Warning,
}

/// One problem: where (JSON path), and what was found against what is allowed.
///
/// `Display` gives one line: `metrics[0].nam: unknown field (did you mean "name"?); ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the configuration can still be used.
    pub severity: Severity,
    /// JSON path such as `attributes[2].match[0].condition`; `configuration` for the whole text.
    pub path: String,
    /// Lower case, without a full stop.
    pub message: String,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// A problem that refuses the configuration.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), message: message.into() }
    }

    /// A problem that leaves a part out.
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
    fn a_far_name_is_not_offered() {
        assert_eq!(nearest("x", ["name"]), None);
        assert_eq!(nearest("nam", ["drop", "name"]), Some("name"));
    }
}

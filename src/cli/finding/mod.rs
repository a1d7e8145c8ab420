//! What a check has found, for people and for programs.

mod report;
mod rule;

pub use report::{Format, report, text};
pub use rule::Rule;

use std::ops::Range;
use std::rc::Rc;

use opmeter_core::Severity;

use crate::text::{Source, first_line};

/// One problem at one place.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of problem.
    pub rule: Rule,
    /// Whether it cannot have been meant (error), or works otherwise than it looks (warning).
    pub severity: Severity,
    /// The file.
    pub source: Rc<Source>,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// JSON path inside the configuration, empty for the document.
    pub path: String,
    /// What was found: lower case, without a full stop.
    pub message: String,
    /// Why that is a problem.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

// === impl Finding ===

impl Finding {
    /// A warning at a place, with what the rule has to say about why.
    pub fn warning(
        rule: Rule,
        source: &Rc<Source>,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Severity::Warning,
            source: Rc::clone(source),
            span: first_line(&source.text, span),
            path: String::new(),
            message: message.into(),
            why: rule.why().to_owned(),
            fix: String::new(),
        }
    }

    /// The same as an error.
    pub fn error(
        rule: Rule,
        source: &Rc<Source>,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, ..Self::warning(rule, source, span, message) }
    }

    /// Says what to write instead.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// Says why in other words than the rule's.
    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// Says where inside the configuration.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }
}

//! Conditions over path and method alone, as alternatives of tests.
//!
//! `request.url_path.startsWith('/a') && request.method in ['GET', 'HEAD'] || request.path == '/b'` is two alternatives
//! of two and one tests. Such a condition always has a value, so alternatives can be tried in any order.

use crate::expr::{AttributeId, Comparison, Const, Op, Program, Slot, Slots, Source, TextTest};

/// Most alternatives one condition may become; above, it is evaluated as it stands.
const MAX_ALTERNATIVES: usize = 4096;

/// Longest text looked up by a pattern; its automaton has a state per byte.
const MAX_PATTERN_TEXT: usize = 1024;

/// What a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Method,
    /// `request.path`: with the query.
    Path,
    /// `request.url_path`: up to the question mark.
    UrlPath,
}

/// One test of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub target: Target,
    pub negated: bool,
    pub kind: TestKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TestKind {
    Equals(Box<[u8]>),
    Text(TextTest, Box<[u8]>),
    /// Unanchored regular expression.
    Matches(Box<str>),
}

/// Tests that have to hold together; none always holds.
pub(super) type Alternative = Vec<Test>;

/// The alternatives of a condition, or `None` if it reads anything else or has another shape.
pub(super) fn alternatives(program: &Program, slots: &Slots) -> Option<Vec<Alternative>> {
    condition(&program.root, slots)
}

fn condition(op: &Op, slots: &Slots) -> Option<Vec<Alternative>> {
    match op {
        Op::Const(Const::Bool(true)) => Some(vec![Vec::new()]),
        Op::Const(Const::Bool(false)) => Some(Vec::new()),
        Op::Compare(comparison @ (Comparison::Eq | Comparison::Ne), sides) => {
            let (target, text) = match (&sides.0, &sides.1) {
                (Op::Read(slot), Op::Const(Const::Str(text)))
                | (Op::Const(Const::Str(text)), Op::Read(slot)) => (target(*slot, slots)?, text),
                _ => return None,
            };
            one(target, *comparison == Comparison::Ne, TestKind::Equals(text.clone()))
        }
        Op::InTexts(needle, texts) => {
            let target = target_of(needle, slots)?;
            let equals = TestKind::Equals;
            let test = |kind| vec![Test { target, negated: false, kind }];
            Some(texts.iter().cloned().map(equals).map(test).collect())
        }
        Op::Text(test, sides) => match (&sides.0, &sides.1) {
            (of, Op::Const(Const::Str(part))) => {
                one(target_of(of, slots)?, false, TestKind::Text(*test, part.clone()))
            }
            _ => None,
        },
        Op::Matches(of, regex) => {
            one(target_of(of, slots)?, false, TestKind::Matches(regex.pattern.clone()))
        }
        Op::Or(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(condition(part, slots)?);
            }
            bounded(all)
        }
        Op::And(parts) => parts
            .iter()
            .try_fold(vec![Vec::new()], |all, part| product(all, condition(part, slots)?)),
        Op::Not(of) => negation(condition(of, slots)?),
        _ => None,
    }
}

fn one(target: Target, negated: bool, kind: TestKind) -> Option<Vec<Alternative>> {
    Some(vec![vec![Test { target, negated, kind }]])
}

fn bounded(all: Vec<Alternative>) -> Option<Vec<Alternative>> {
    (all.len() <= MAX_ALTERNATIVES).then_some(all)
}

/// Every alternative of one with every alternative of the other.
fn product(left: Vec<Alternative>, right: Vec<Alternative>) -> Option<Vec<Alternative>> {
    if left.len().saturating_mul(right.len()) > MAX_ALTERNATIVES {
        return None;
    }
    let both = |a: &Alternative| {
        right.iter().map(move |b| [a.as_slice(), b.as_slice()].concat()).collect::<Vec<_>>()
    };
    Some(left.iter().flat_map(both).collect())
}

/// Not one of the alternatives: one test of each has to fail.
fn negation(all: Vec<Alternative>) -> Option<Vec<Alternative>> {
    all.into_iter().try_fold(vec![Vec::new()], |done, alternative| {
        let failing =
            alternative.into_iter().map(|test| vec![Test { negated: !test.negated, ..test }]);
        product(done, failing.collect())
    })
}

fn target_of(op: &Op, slots: &Slots) -> Option<Target> {
    match op {
        Op::Read(slot) => target(*slot, slots),
        _ => None,
    }
}

fn target(slot: Slot, slots: &Slots) -> Option<Target> {
    let read = slots.read(slot)?;
    let Source::Attribute(id) = read.source else { return None };
    match attribute_name(id) {
        "request.method" => Some(Target::Method),
        "request.path" => Some(Target::Path),
        "request.url_path" => Some(Target::UrlPath),
        _ => None,
    }
}

fn attribute_name(id: AttributeId) -> &'static str {
    id.attribute().map_or("", |attribute| attribute.name)
}

// === impl Test ===

impl Test {
    /// As a regular expression over its target, if it can be looked up that way.
    pub fn pattern(&self) -> Option<String> {
        if self.negated {
            return None;
        }
        let escaped = |text: &[u8]| {
            let short = Some(text).filter(|text| text.len() <= MAX_PATTERN_TEXT)?;
            core::str::from_utf8(short).ok().map(escape)
        };
        Some(match &self.kind {
            TestKind::Equals(text) => format!("^{}$", escaped(text)?),
            TestKind::Text(TextTest::StartsWith, text) => format!("^{}", escaped(text)?),
            TestKind::Text(TextTest::EndsWith, text) => format!("{}$", escaped(text)?),
            TestKind::Text(TextTest::Contains, text) => escaped(text)?,
            TestKind::Matches(pattern) => pattern.as_ref().into(),
        })
    }
}

/// A pattern that matches `text` and nothing else.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

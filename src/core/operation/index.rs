//! Alternatives of conditions, indexed by one test of each: texts by hash, everything else in one automaton.

use super::shape::{Alternative, Target, Test, TestKind};
use crate::expr::{Numbers, RegexSet};
use core::cell::RefCell;

/// Numbers of conditions and of alternatives.
type Number = u32;

/// All alternatives that have a test of `target`, findable by it.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Texts with their alternatives, and where to find them.
    texts: Vec<(Box<[u8]>, Vec<Number>)>,
    exact: Numbers,
    set: Option<RegexSet>,
    /// Alternative of every pattern.
    patterns: Vec<Number>,
    found: RefCell<Vec<u64>>,
}

/// One alternative of condition `condition`, with the tests its index does not answer.
#[derive(Debug)]
pub(super) struct Entry {
    pub condition: Number,
    pub rest: Box<[Check]>,
}

/// A test in a form to run by itself.
#[derive(Debug)]
pub(super) struct Check {
    test: Test,
    regex: Option<RegexSet>,
}

/// What alternatives are found by.
pub(super) enum Key {
    /// Found by an exact text.
    Exact(Target, Box<[u8]>),
    /// Found by a pattern.
    Pattern(Target, String),
    /// Tried for every request.
    Always,
}

// === impl Key ===

impl Key {
    /// Takes the test that narrows most out of an alternative.
    pub fn take(alternative: &mut Alternative) -> Key {
        let best = alternative.iter().enumerate().min_by_key(|(_, test)| weight(test));
        let Some((at, test)) = best.filter(|(_, test)| weight(test) < 9) else {
            return Key::Always;
        };
        let key = match (&test.kind, test.pattern()) {
            (TestKind::Equals(text), _) => Key::Exact(test.target, text.clone()),
            (_, Some(pattern)) => Key::Pattern(test.target, pattern),
            _ => return Key::Always,
        };
        alternative.remove(at);
        key
    }
}

/// Lower narrows more; 9 cannot be looked up.
fn weight(test: &Test) -> u8 {
    match &test.kind {
        _ if test.negated || test.target == Target::Method => 9,
        TestKind::Equals(_) => 0,
        TestKind::Text(crate::expr::TextTest::StartsWith, _) => 2,
        TestKind::Matches(_) => 1,
        TestKind::Text(..) => 3,
    }
}

// === impl Index ===

impl Index {
    pub fn add_exact(&mut self, text: Box<[u8]>, alternative: Number) {
        let at = self.find(&text).unwrap_or(self.texts.len());
        match self.texts.get_mut(at) {
            Some((_, list)) => list.push(alternative),
            None => {
                self.exact.insert(self.exact.hash(&*text), at as u32);
                self.texts.push((text, vec![alternative]));
            }
        }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        let same = |at: u32| self.texts.get(at as usize).is_some_and(|(known, _)| **known == *text);
        self.exact.find(self.exact.hash(text), &same).map(|at| at as usize)
    }

    /// Compiles the patterns. Every one compiled before: those of conditions by themselves, and those made of texts are
    /// escaped and short.
    pub fn set_patterns(&mut self, patterns: Vec<(String, Number)>) {
        if patterns.is_empty() {
            return;
        }
        self.set = RegexSet::new(patterns.iter().map(|(pattern, _)| pattern.as_str())).ok();
        self.patterns = patterns.into_iter().map(|(_, alternative)| alternative).collect();
        self.found = RefCell::new(vec![0; self.patterns.len().div_ceil(64)]);
    }

    /// The lowest alternative below `limit` that `holds` confirms among those whose test holds for `text`.
    pub fn first(&self, text: &[u8], limit: Number, holds: &dyn Fn(Number) -> bool) -> Number {
        let known = self.find(text).and_then(|at| self.texts.get(at));
        let exact = known.into_iter().flat_map(|(_, list)| list.iter().copied());
        let best = exact.take_while(|number| *number < limit).find(|number| holds(*number));
        let limit = best.unwrap_or(limit);
        self.first_pattern(text, limit, holds).unwrap_or(limit)
    }

    fn first_pattern(
        &self,
        text: &[u8],
        limit: Number,
        holds: &dyn Fn(Number) -> bool,
    ) -> Option<Number> {
        let set = self.set.as_ref()?;
        let mut found = self.found.try_borrow_mut().ok()?;
        found.fill(0);
        set.each(text, |pattern| {
            if let Some(word) = found.get_mut(pattern as usize / 64) {
                *word |= 1 << (pattern % 64);
            }
        });
        for (at, word) in found.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let number = self.patterns.get(at * 64 + word.trailing_zeros() as usize)?;
                if *number >= limit {
                    return None;
                }
                if holds(*number) {
                    return Some(*number);
                }
                word &= word - 1;
            }
        }
        None
    }

    pub fn memory(&self) -> usize {
        let texts: usize =
            self.texts.iter().map(|(text, list)| text.len() + list.len() * 4 + 40).sum();
        let exact = texts + self.exact.memory();
        exact + self.patterns.len() * 4 + self.set.as_ref().map_or(0, RegexSet::memory)
    }
}

// === impl Check ===

impl Check {
    /// `None` if the test's regular expression does not compile, which a test from a program does.
    pub fn new(test: Test) -> Option<Check> {
        let regex = match &test.kind {
            TestKind::Matches(pattern) => Some(RegexSet::new([&**pattern]).ok()?),
            _ => None,
        };
        Some(Check { test, regex })
    }

    /// Whether the test holds for a request.
    pub fn holds(&self, method: &[u8], path: &[u8], url_path: &[u8]) -> bool {
        let text = match self.test.target {
            Target::Method => method,
            Target::Path => path,
            Target::UrlPath => url_path,
        };
        let holds = match (&self.test.kind, &self.regex) {
            (TestKind::Equals(own), _) => **own == *text,
            (TestKind::Text(test, part), _) => test.holds(text, part),
            (TestKind::Matches(_), regex) => {
                regex.as_ref().is_some_and(|regex| regex.first(text).is_some())
            }
        };
        holds != self.test.negated
    }
}

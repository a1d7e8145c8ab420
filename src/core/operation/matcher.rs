//! The matcher: `match[]` conditions, then `operations[]`, then `openapi`, the first that holds wins.

use super::index::{Check, Entry, Index, Key};
use super::openapi::Operation;
use super::shape::{Target, alternatives};
use super::template::Template;
use super::tree::{Conflict, Tree};
use crate::expr::{Expr, Slots};

/// Finds which of its conditions and operations a request is.
///
/// Conditions over path and method alone cost the same however many there are. The others ("open" conditions) are asked
/// of the caller, in order, and only those written before the answer.
#[derive(Debug, Default)]
pub struct Matcher {
    entries: Vec<Entry>,
    url_path: Index,
    path: Index,
    /// Alternatives without a test to find them by, ascending.
    always: Vec<u32>,
    /// Numbers of the conditions the caller evaluates, ascending.
    open: Vec<u32>,
    operations: Tree,
    openapi: Tree,
    /// What the conditions that are looked up read.
    reads: Targets,
}

/// Which targets are read.
#[derive(Clone, Copy, Debug, Default)]
struct Targets {
    method: bool,
    path: bool,
    url_path: bool,
}

/// Collects what a [`Matcher`] is to find.
#[derive(Debug, Default)]
pub struct MatcherBuilder {
    matcher: Matcher,
    url_patterns: Vec<(String, u32)>,
    path_patterns: Vec<(String, u32)>,
    conditions: u32,
    operations: u32,
    described: u32,
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The condition with this number, counted in the order of [`MatcherBuilder::condition`].
    Condition(u32),
    /// The template with this number, counted in the order of [`MatcherBuilder::operation`].
    Operation(u32),
    /// The OpenAPI operation with this number, counted in the order of [`MatcherBuilder::described`].
    Described(u32),
}

// === impl Matcher ===

impl Matcher {
    /// The first condition that holds, or else the operation whose template is the most specific.
    ///
    /// `path` is `request.path`, with the query; `template_path` the one that templates are looked up by, which a route may
    /// have rewritten since. `open` evaluates the condition with a number; its first
    /// error ends the search, as later conditions must not win where an earlier one is unknown (Istio's AttributeGen).
    ///
    /// # Errors
    /// The error of `open`.
    pub fn find<E>(
        &self,
        method: &[u8],
        path: &[u8],
        template_path: &[u8],
        mut open: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<Found>, E> {
        let first = self.indexed(method, path);
        for condition in self.open.iter().take_while(|condition| **condition < first) {
            if open(*condition)? {
                return Ok(Some(Found::Condition(*condition)));
            }
        }
        if first != u32::MAX {
            return Ok(Some(Found::Condition(first)));
        }
        let operation = self.operations.find(method, template_path).map(Found::Operation);
        Ok(operation.or_else(|| self.openapi.find(method, template_path).map(Found::Described)))
    }

    /// Whether the request's method and path have a say.
    pub fn needs_path(&self) -> bool {
        let Targets { method, path, url_path } = self.reads;
        method || path || url_path || !self.operations.is_empty() || !self.openapi.is_empty()
    }

    /// Whether the conditions that are looked up have a value: an absent header (which is empty here) is an error, the
    /// path up to the question mark is empty without one (Envoy documentation, "Attributes").
    pub fn can_tell(&self, method: &[u8], path: &[u8]) -> bool {
        let without_headers = method.is_empty() && path.is_empty();
        !(self.reads.method && method.is_empty()
            || self.reads.path && path.is_empty()
            || self.reads.url_path && without_headers)
    }

    /// Numbers of the conditions `find` asks its caller for.
    pub fn open(&self) -> &[u32] {
        &self.open
    }

    /// Bytes held, about.
    pub fn memory(&self) -> usize {
        let entries =
            self.entries.iter().map(|e| size_of::<Entry>() + size_of_val(&*e.rest)).sum::<usize>();
        entries
            + self.url_path.memory()
            + self.path.memory()
            + self.operations.memory()
            + self.openapi.memory()
    }

    /// The first of the conditions over path and method, or `u32::MAX`.
    fn indexed(&self, method: &[u8], path: &[u8]) -> u32 {
        if self.entries.is_empty() {
            return u32::MAX;
        }
        let len = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
        let url_path = path.get(..len).unwrap_or(path);
        let holds = |number: u32| {
            let entry = self.entries.get(number as usize);
            entry.is_some_and(|entry| {
                entry.rest.iter().all(|check| check.holds(method, path, url_path))
            })
        };
        let first = self.always.iter().copied().find(|number| holds(*number)).unwrap_or(u32::MAX);
        let first = self.url_path.first(url_path, first, &holds);
        let first = self.path.first(path, first, &holds);
        self.entries.get(first as usize).map_or(u32::MAX, |entry| entry.condition)
    }
}

// === impl MatcherBuilder ===

impl MatcherBuilder {
    /// Adds the next condition; `None` is one that always holds. `slots` are those it was compiled with. `false` for one
    /// that has to be asked of the caller.
    pub fn condition(&mut self, condition: Option<&Expr>, slots: &Slots) -> bool {
        let number = self.conditions;
        self.conditions += 1;
        let Some(expr) = condition else {
            self.alternative(number, Vec::new());
            return true;
        };
        match expr.program().and_then(|program| alternatives(program, slots)) {
            Some(all) => {
                all.into_iter().for_each(|tests| self.alternative(number, tests));
                true
            }
            None => {
                self.matcher.open.push(number);
                false
            }
        }
    }

    /// Adds the next template, for one method or any.
    ///
    /// # Errors
    /// [`Conflict`] with an equal template for the same method.
    pub fn operation(&mut self, method: Option<&str>, template: &Template) -> Result<(), Conflict> {
        self.operations += 1;
        self.matcher.operations.insert(method, template, self.operations - 1)
    }

    /// Adds the next operation of an OpenAPI document.
    ///
    /// # Errors
    /// [`Conflict`] with an equal template for the same method.
    pub fn described(&mut self, operation: &Operation) -> Result<(), Conflict> {
        self.described += 1;
        self.matcher.openapi.insert(Some(operation.method), &operation.template, self.described - 1)
    }

    /// Everything added so far, ready to search.
    pub fn build(self) -> Matcher {
        let mut matcher = self.matcher;
        matcher.url_path.set_patterns(self.url_patterns);
        matcher.path.set_patterns(self.path_patterns);
        matcher
    }

    fn alternative(&mut self, condition: u32, mut tests: super::shape::Alternative) {
        let number = self.matcher.entries.len() as u32;
        for test in &tests {
            let reads = &mut self.matcher.reads;
            match test.target {
                Target::Method => reads.method = true,
                Target::Path => reads.path = true,
                Target::UrlPath => reads.url_path = true,
            }
        }
        let key = Key::take(&mut tests);
        let mut rest = Vec::with_capacity(tests.len());
        for test in tests {
            let Some(check) = Check::new(test) else { return };
            rest.push(check);
        }
        self.matcher.entries.push(Entry { condition, rest: rest.into() });
        match key {
            Key::Exact(Target::Path, text) => self.matcher.path.add_exact(text, number),
            Key::Exact(_, text) => self.matcher.url_path.add_exact(text, number),
            Key::Pattern(Target::Path, pattern) => self.path_patterns.push((pattern, number)),
            Key::Pattern(_, pattern) => self.url_patterns.push((pattern, number)),
            Key::Always => self.matcher.always.push(number),
        }
    }
}

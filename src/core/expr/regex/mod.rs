//! Regular expressions with RE2's syntax and meaning, over bytes, any number of patterns in one automaton.
//!
//! Envoy's CEL hands `matches()` to RE2 (UTF-8, unanchored). The stages are text, syntax tree, Thompson automaton over
//! UTF-8 bytes, and a deterministic automaton built lazily while searching, with bounded memory. Time is linear in the
//! text. Syntax outside [`Refused::Unsupported`]'s list means exactly what RE2 means by it; the rest is left to the
//! host, so that no pattern means two things. Own code because of module size: `regex-lite` adds 71 KB, has no sets and
//! only matches valid UTF-8; `regex-automata` with its lazy automaton adds 232 KB.

mod class;
mod dfa;
mod nfa;
mod syntax;

use core::cell::RefCell;
use core::fmt;

/// Why a pattern was not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// RE2 refuses it too; what is wrong, lower case.
    Invalid(&'static str),
    /// RE2 may accept it, but it is not modelled here: `\b`, `(?m)`, `\pX`, `\C`, stacked repetition, more states than
    /// [`super::limits::MAX_REGEX_STATES`].
    Unsupported(&'static str),
}

/// Patterns `0..n` compiled into one automaton.
pub struct RegexSet {
    nfa: nfa::Nfa,
    cache: RefCell<dfa::Cache>,
}

// === impl RegexSet ===

impl RegexSet {
    /// Compiles all patterns, or says which one is refused and why.
    ///
    /// ```
    /// use opmeter_core::expr::RegexSet;
    /// let set = RegexSet::new(["^/a/[0-9]+$", "b"]).unwrap();
    /// assert_eq!(set.first(b"/a/17"), Some(0));
    /// assert_eq!(set.first(b"/a/b"), Some(1));
    /// assert_eq!(set.first(b"/a/x"), None);
    /// ```
    pub fn new<'p>(
        patterns: impl IntoIterator<Item = &'p str>,
    ) -> Result<RegexSet, (usize, Refused)> {
        let mut builder = nfa::Builder::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            syntax::parse(pattern)
                .and_then(|tree| builder.add(&tree))
                .map_err(|refused| (index, refused))?;
        }
        let nfa = builder.build();
        let cache = RefCell::new(dfa::Cache::new(&nfa));
        Ok(RegexSet { nfa, cache })
    }

    /// The lowest pattern that matches anywhere in `text`.
    pub fn first(&self, text: &[u8]) -> Option<usize> {
        // A search never starts another one, so the cache is never borrowed twice.
        let mut cache = self.cache.try_borrow_mut().ok()?;
        dfa::first(&self.nfa, &mut cache, text)
    }

    /// Gives `found` every pattern that matches anywhere in `text`, in no order, some perhaps more than once.
    pub fn each(&self, text: &[u8], found: impl FnMut(u32)) {
        if let Ok(mut cache) = self.cache.try_borrow_mut() {
            dfa::each(&self.nfa, &mut cache, text, found);
        }
    }

    /// Bytes held, the lazily built part included.
    pub fn memory(&self) -> usize {
        self.nfa.memory() + self.cache.try_borrow().map_or(0, |cache| cache.memory())
    }
}

impl fmt::Debug for RegexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexSet").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

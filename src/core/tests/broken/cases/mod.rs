//! Configurations that something is wrong with, each made from one valid configuration, and what may follow from them.
//!
//! [`edits`] changes a part of it, [`texts`] what is not to be read at all; [`rule`] tells what may come out. Two tests
//! share them: one of the core (`src/core/tests/broken`) and one of real proxies (`tests/broken`).
#![allow(dead_code, reason = "each of the tests needs a part")]

pub mod edits;
pub mod random;
pub mod rule;
pub mod texts;

use serde_json::Value;

/// A configuration to try.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What was done to the valid one, and where.
    pub what: String,
    /// What is wrong.
    pub wrong: Wrong,
    /// JSON pointers of the parts that were changed.
    pub places: Vec<String>,
    /// The configuration.
    pub text: Vec<u8>,
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// A part: it has a problem, and is left out.
    Part,
    /// Nothing, for all that its text is odd: it means the empty configuration.
    Text,
    /// Nothing that could be known: it is another configuration, which may have problems.
    Nothing,
    /// It is not JSON, or not an object.
    Everything,
}

/// What tells one valid configuration from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Value of a label.
    pub generation: String,
    /// Makes the text another one, and has no effect.
    pub number: usize,
}

/// A valid configuration with every field, as text.
pub fn valid(version: &Version) -> String {
    let Version { generation, number } = version;
    include_str!("valid.json")
        .replace("GENERATION", generation)
        .replace("\"0s\"", &format!("\"{number}s\""))
}

/// The same as a document.
pub fn document(version: &Version) -> Value {
    serde_json::from_str(&valid(version)).expect("valid JSON")
}

// === impl Version ===

impl Version {
    /// A version whose label has this value.
    pub fn new(generation: &str, number: usize) -> Self {
        Self { generation: generation.to_owned(), number }
    }
}

// === impl Broken ===

impl Broken {
    /// Whether a change touches what lies at a place, around it or in it.
    pub fn touches(&self, place: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.places.iter().any(|changed| within(changed, place) || within(place, changed))
    }
}

//! Operations: which of many conditions, path templates and OpenAPI operations a request is, at the price of one.
//!
//! ```text
//! match[] conditions --shape--> exact texts: hash, patterns: one automaton, the rest: in order --\
//! operations[]       --template--> tree ----------------------------------------------------------> Matcher
//! openapi            --openapi---> tree ---------------------------------------------------------/
//! ```

#![allow(
    clippy::arithmetic_side_effects,
    reason = "counts and offsets are bounded by the memory of a 32-bit module"
)]

mod index;
mod matcher;
mod openapi;
mod shape;
mod template;
mod tree;

pub use matcher::{Found, Matcher, MatcherBuilder};
pub use openapi::{InvalidDocument, Operation, openapi};
pub use template::{InvalidTemplate, MAX_SEGMENTS, MAX_TEMPLATE, Template};
pub use tree::{Conflict, Tree};

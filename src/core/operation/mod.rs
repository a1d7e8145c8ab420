//! Operations: which of many path templates and OpenAPI operations a request is, at the price of one.
//!
//! ```text
//! operations[] --template--> tree --\
//! openapi --openapi--> templates --tree--> find(method, path)
//! ```

#![allow(
    clippy::arithmetic_side_effects,
    reason = "counts and offsets are bounded by the memory of a 32-bit module"
)]

mod numbers;
mod openapi;
mod template;
mod tree;

pub use openapi::{InvalidDocument, Operation, openapi};
pub use template::{InvalidTemplate, MAX_SEGMENTS, MAX_TEMPLATE, Template};
pub use tree::{Conflict, Tree};

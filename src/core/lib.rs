//! Placeholder.

pub mod peer;

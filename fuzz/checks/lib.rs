//! What the fuzz targets check, as plain functions over bytes: each panics when a rule is broken.
//!
//! A target of `fuzz/targets` is one call of one of these; the test `corpora` runs them over the committed corpora and
//! over random inputs, so that they cannot rot between fuzzing runs.

mod baggage;
mod conditions;
mod config;
mod expression;
mod filter;
mod host_values;
mod label;
mod path;
mod peer;
mod reference;
mod template;

pub use baggage::baggage;
pub use conditions::conditions;
pub use config::config;
pub use expression::expression;
pub use filter::filter;
pub use host_values::host_values;
pub use label::label;
pub use path::path;
pub use peer::{peer_header, protobuf};
pub use template::template;

/// A target's name and what it checks.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; the names are those of the files in `fuzz/targets` and of the folders in `fuzz/corpus`.
pub const TARGETS: [Target; 11] = [
    ("baggage", baggage),
    ("conditions", conditions),
    ("config", config),
    ("expression", expression),
    ("filter", filter),
    ("host_values", host_values),
    ("label", label),
    ("path", path),
    ("peer_header", peer_header),
    ("protobuf", protobuf),
    ("template", template),
];

//! Metrics: which there are, their labels and values, their stat names, and the table of series seen.

pub mod budget;
pub mod cut;
pub mod flags;
pub mod fold;
pub mod label;
pub mod name;
pub mod series;
pub mod standard;
pub mod text;

pub use label::{Label, Labels, Reporter, Value};

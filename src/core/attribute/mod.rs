//! What the core asks a proxy about one stream: the table of facts, how they are fetched, and how values are encoded.

pub mod decode;
pub mod fact;
pub mod gather;
pub(crate) mod memory;
pub(crate) mod read;

pub use fact::Fact;
pub use gather::{Facts, Query};

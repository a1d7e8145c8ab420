//! What the core asks a proxy about one stream: the table of facts, how they are fetched, and how values are encoded.

pub(crate) mod apart;
pub mod decode;
pub mod fact;
pub(crate) mod facts;
mod list;
pub(crate) mod memory;
mod query;
pub(crate) mod read;

pub use fact::Fact;
pub use facts::Facts;
pub use query::Query;

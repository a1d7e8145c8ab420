//! gRPC on tonic: a backend with a call of each kind, and its client.

mod backend;
mod client;
mod descriptor;

pub use backend::{Backend, UNARY, Words, serve};
pub use client::Client;
pub use descriptor::descriptor;

//! gRPC on tonic: a backend with a call of each kind, and its client.

mod backend;
mod client;

pub use backend::{Backend, UNARY, Words, serve};
pub use client::Client;

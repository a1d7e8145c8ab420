//! The WebAssembly module: opmeter-core behind the proxy-wasm ABI (0.2.1).
//!
//! Callbacks are dispatched here: one module serves requests, connections and access logs, which nothing tells apart before
//! any has shown itself. Every host call goes through `abi`, which cannot panic.
#![deny(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abi;
mod host;
mod log;
mod mounts;
mod root;
mod streams;

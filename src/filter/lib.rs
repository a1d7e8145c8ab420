//! The WebAssembly module: opmeter-core behind the proxy-wasm ABI (0.2.1).
//!
//! The proxy-wasm SDK brings the start of the module and its log. Callbacks are dispatched here: one module
//! serves requests, connections and access logs, which the SDK would have to tell apart before any has shown itself. Every
//! host call but the log's goes through `abi`, which cannot panic.
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "the SDK's main! exports a function without one")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abi;
mod host;
mod mounts;
mod others;
mod root;
mod streams;

proxy_wasm::main! {{
    // Only logging may be set up here: Envoy traps on other host calls before the VM has started.
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Warn);
}}

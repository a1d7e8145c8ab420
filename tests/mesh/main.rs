//! Two sidecars, each a real Envoy with the module, and what they tell of each other.

mod anything;
mod budget;
mod directions;
mod exchange;
mod grpc;
mod hostile;
mod labels;
mod logger;
mod memory;
mod tcp;
mod tls;

use std::path::PathBuf;

/// The Envoy to test with; `None` to pass without a run.
fn real_envoy() -> Option<PathBuf> {
    support::envoy::binary().expect("an Envoy")
}

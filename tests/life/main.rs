//! The life of a proxy with the module: updates of its configuration under load, restarts, and a module that fails.

mod policy;
mod reload;
mod restart;
mod restriction;
mod traps;

use std::path::PathBuf;

/// The Envoy to test with; `None` to pass without a run.
fn real_envoy() -> Option<PathBuf> {
    support::envoy::binary().expect("an Envoy")
}

//! Proxies with configurations that something is wrong with: every request is answered as without the module, and counted.
//!
//! The cases are made from one valid configuration (`src/core/tests/broken/cases`): a part of it is changed, or its text is.
//! `OPMETER_BROKEN_SEED` chooses them, `OPMETER_BROKEN_PERCENT` runs more or fewer than usual. A case that fails is reported
//! with its number: `OPMETER_BROKEN_CASE=NUMBER` and the same seed run it alone.

#[path = "../../src/core/tests/broken/cases/mod.rs"]
mod cases;
mod choice;
mod counts;
mod first;
mod strict;
mod traffic;
mod updates;

use std::path::PathBuf;

/// The Envoy to test with; `None` to pass without a run.
fn real_envoy() -> Option<PathBuf> {
    support::envoy::binary().expect("an Envoy")
}

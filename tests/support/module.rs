//! The module under test.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The module's path: `OPMETER_MODULE`, else `dist/opmeter.wasm`, built anew (which costs nothing when it is fresh), so that
/// no test ever runs on a stale one.
///
/// # Panics
/// When it cannot be built.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("OPMETER_MODULE") {
        Some(path) => path.into(),
        None => build().unwrap_or_else(|error| panic!("cannot build the module: {error:#}")),
    })
}

/// The module's bytes.
///
/// # Panics
/// When it cannot be built or read.
pub fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(path()).expect("the module can be read"))
}

/// Root of the checkout.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn build() -> Result<PathBuf> {
    let output = Command::new("make/build.sh")
        .current_dir(workspace())
        .output()
        .context("cannot run make/build.sh")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(workspace().join("dist/opmeter.wasm"))
}

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
    let target = "wasm32-unknown-unknown";
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", "opmeter-filter", "--profile", "release-wasm"])
        .args(["--target", target, "--message-format", "json-render-diagnostics"])
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let linked = artifact(&String::from_utf8(output.stdout)?).context("cargo names no module")?;
    let packed = opmeter_pack::pack(&std::fs::read(&linked)?)?;
    let path = workspace().join("dist/opmeter.wasm");
    if std::fs::read(&path).ok().as_deref() != Some(packed.as_slice()) {
        replace(&path, &packed)?;
    }
    Ok(path)
}

/// The `.wasm` file among cargo's messages.
fn artifact(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|e| e == "wasm"))
}

/// Other test processes read the file at the same time: it appears complete or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("no folder")?;
    std::fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(&file, content)?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

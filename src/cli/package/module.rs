//! The module, as far as an image has to know it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// How every WebAssembly module begins (WebAssembly Core Specification, "Binary Format").
const MAGIC: &[u8] = b"\0asm\x01\0\0\0";
/// Modules of proxy-wasm export a function of this name, the version behind it.
const ABI: &[u8] = b"proxy_abi_version_";

/// A module of proxy-wasm.
#[derive(Debug)]
pub struct Module {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Version of the ABI, such as `0.2.1`.
    pub abi: String,
}

// === impl Module ===

impl Module {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not a module that a proxy could load.
    pub fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let bytes = fs::read(file)
            .with_context(|| format!("cannot read {name}; `make build` makes dist/opmeter.wasm"))?;
        ensure!(bytes.starts_with(MAGIC), "{name} is not a WebAssembly module");
        let Some(abi) = abi(&bytes) else {
            bail!("{name} does not tell its version of proxy-wasm, so no proxy would load it");
        };
        Ok(Self { bytes, abi })
    }
}

fn abi(bytes: &[u8]) -> Option<String> {
    let start = bytes.windows(ABI.len()).position(|window| window == ABI)? + ABI.len();
    let version = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'_');
    let version: String = version.map(|byte| char::from(*byte)).collect();
    (!version.is_empty()).then(|| version.replace('_', "."))
}

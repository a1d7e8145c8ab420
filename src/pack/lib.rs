//! Packs the linked module for delivery.
//!
//! [`pack`] takes away exports that are not in [`exports::KEPT`], then all code that only those reached, then sections no
//! proxy reads: Envoy's main thread compiles what is left.
#![forbid(unsafe_code)]

pub mod exports;

use anyhow::{Context, Result, bail};
use exports::{REQUIRED, is_kept};
use walrus::{ExportId, Module, ModuleConfig};

/// Packs a module. The same input always gives the same bytes.
///
/// # Errors
/// When `module` is not WebAssembly, or lacks an export that a proxy needs.
pub fn pack(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(module)
        .context("not a WebAssembly module")?;
    check(&module)?;
    drop_exports(&mut module);
    drop_custom_sections(&mut module);
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Names of a module's exports, sorted.
///
/// # Errors
/// When `module` is not WebAssembly.
pub fn export_names(module: &[u8]) -> Result<Vec<String>> {
    let module = Module::from_buffer(module).context("not a WebAssembly module")?;
    let mut names: Vec<String> = module.exports.iter().map(|e| e.name.clone()).collect();
    names.sort_unstable();
    Ok(names)
}

fn check(module: &Module) -> Result<()> {
    let exported = |name: &&&str| module.exports.iter().any(|export| export.name == ***name);
    for group in REQUIRED {
        if !group.iter().any(|name| exported(&name)) {
            let names = group.join(" or ");
            bail!("not a proxy-wasm 0.2.1 module: it does not export {names}");
        }
    }
    Ok(())
}

fn drop_exports(module: &mut Module) {
    let unwanted: Vec<ExportId> =
        module.exports.iter().filter(|export| !is_kept(&export.name)).map(|e| e.id()).collect();
    for id in unwanted {
        module.exports.delete(id);
    }
}

fn drop_custom_sections(module: &mut Module) {
    let sections: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in sections {
        module.customs.delete(id);
    }
}

#[cfg(test)]
mod tests;

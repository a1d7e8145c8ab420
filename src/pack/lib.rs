//! Packs the linked module for delivery.
//!
//! The proxy-wasm SDK exports every callback of the ABI, whether anybody handles it or not. [`pack`] puts the module's own
//! callbacks in the place of the SDK's, takes away what is not in [`exports::KEPT`], then all code that only those exports reached, then sections no proxy reads. Half the module goes,
//! and with it half the time Envoy's main thread needs to compile it.
#![forbid(unsafe_code)]

pub mod exports;

use anyhow::{Context, Result, bail};
use exports::{REQUIRED, abi_name, is_kept};
use walrus::{Element, ElementItems, ExportId, FunctionBuilder, FunctionId, Module, ModuleConfig};

/// Part of the mangled name of all functions of the SDK's dispatcher.
const DISPATCHER: &str = "10proxy_wasm10dispatcher";

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
    put_own_callbacks(&mut module);
    check(&module)?;
    drop_exports(&mut module);
    drop_dispatcher(&mut module)?;
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

/// Lets the module's own callbacks take the place of the SDK's.
fn put_own_callbacks(module: &mut Module) {
    let own: Vec<(ExportId, String)> =
        module.exports.iter().filter_map(|e| Some((e.id(), abi_name(&e.name)?))).collect();
    for (id, name) in own {
        let replaced = module.exports.iter().find(|e| e.name == name).map(|e| e.id());
        if let Some(replaced) = replaced {
            module.exports.delete(replaced);
        }
        module.exports.get_mut(id).name = name;
    }
}

fn drop_exports(module: &mut Module) {
    let unwanted: Vec<ExportId> =
        module.exports.iter().filter(|export| !is_kept(&export.name)).map(|e| e.id()).collect();
    for id in unwanted {
        module.exports.delete(id);
    }
}

/// Takes the SDK's dispatcher out of the table of functions that are called by number. Its constant data names them, so the
/// linker keeps them, but only the SDK's own callbacks read that data, and those are gone by now.
fn drop_dispatcher(module: &mut Module) -> Result<()> {
    let of_dispatcher = |module: &Module, id: FunctionId| {
        module.funcs.get(id).name.as_deref().is_some_and(|name| name.contains(DISPATCHER))
    };
    let mut body = FunctionBuilder::new(&mut module.types, &[], &[]);
    body.func_body().unreachable();
    let trap = body.finish(Vec::new(), &mut module.funcs);
    let listed = |element: &Element| match &element.items {
        ElementItems::Functions(functions) => functions.clone(),
        ElementItems::Expressions(..) => Vec::new(),
    };
    let elements: Vec<_> = module.elements.iter().map(|e| (e.id(), listed(e))).collect();
    for (id, mut functions) in elements {
        let mut dropped = false;
        for function in &mut functions {
            if of_dispatcher(module, *function) {
                (*function, dropped) = (trap, true);
            }
        }
        if dropped {
            module.elements.get_mut(id).items = ElementItems::Functions(functions);
        }
    }
    walrus::passes::gc::run(module);
    let left = module.funcs.iter().find(|function| of_dispatcher(module, function.id()));
    match left.and_then(|function| function.name.as_deref()) {
        Some(name) => bail!("the SDK's dispatcher is still called: {name}"),
        None => Ok(()),
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

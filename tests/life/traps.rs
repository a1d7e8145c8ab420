//! The module as it is delivered, made to trap on purpose: whoever sends the request or the configuration says where.

use anyhow::{Context, Result};
use std::path::PathBuf;
use support::module;
use tempfile::TempDir;
use walrus::ir::BinaryOp;
use walrus::{
    ConstExpr, ExportItem, FunctionBuilder, FunctionId, GlobalId, InstrSeqBuilder, LocalId, Module,
    ValType, ir::Value,
};

/// A configuration of more bytes traps where it is read.
const LONGEST_CONFIGURATION: i32 = 4_096;
/// A request of more headers traps where its headers pass.
const MOST_HEADERS: i32 = 60;
/// A request of more headers, but no more than that, traps where it is logged.
const MOST_LOGGED_HEADERS: i32 = 30;

/// Where a request traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// When its headers arrive.
    Headers,
    /// When it is over and written down.
    Log,
}

/// The module with the traps in it; dropping it deletes the file.
#[derive(Debug)]
pub struct Trapping {
    /// The module.
    pub path: PathBuf,
    _folder: TempDir,
}

// === impl Trapping ===

impl Trapping {
    /// Writes it.
    ///
    /// # Errors
    /// When the module has not the callbacks.
    pub fn new() -> Result<Self> {
        let mut module = Module::from_buffer(module::bytes())?;
        let armed =
            module.globals.add_local(ValType::I32, true, false, ConstExpr::Value(Value::I32(0)));
        guard(&mut module, "proxy_on_configure", |body, arguments| {
            trap_above(body, arguments[1], LONGEST_CONFIGURATION);
        })?;
        guard(&mut module, "proxy_on_request_headers", |body, arguments| {
            trap_above(body, arguments[1], MOST_HEADERS);
            arm_above(body, arguments[1], armed);
        })?;
        guard(&mut module, "proxy_on_log", |body, _| {
            body.global_get(armed).if_else(None, |then| _ = then.unreachable(), |_| {});
        })?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("trapping.wasm");
        module.emit_wasm_file(&path)?;
        Ok(Self { path, _folder: folder })
    }
}

/// A configuration that traps where it is read: the same, with space behind it.
pub fn trapping(config: &str) -> String {
    format!("{config}{}", " ".repeat(usize::try_from(LONGEST_CONFIGURATION).expect("positive")))
}

/// A request that traps; every proxy adds some headers of its own.
pub fn request(at: Option<At>) -> hyper::http::request::Builder {
    let headers = match at {
        None => 0,
        Some(At::Log) => MOST_LOGGED_HEADERS + 5,
        Some(At::Headers) => MOST_HEADERS + 5,
    };
    (0..headers).fold(hyper::Request::get("/items").header("host", "ratings"), |request, number| {
        request.header(format!("x-{number}"), "1")
    })
}

/// Puts instructions in front of an exported function.
fn guard(
    module: &mut Module,
    name: &str,
    before: impl FnOnce(&mut InstrSeqBuilder<'_>, &[LocalId]),
) -> Result<()> {
    let function: FunctionId = module.exports.get_func(name)?;
    let kind = module.types.get(module.funcs.get(function).ty());
    let (params, results) = (kind.params().to_vec(), kind.results().to_vec());
    let arguments: Vec<LocalId> = params.iter().map(|kind| module.locals.add(*kind)).collect();
    let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
    let mut body = builder.func_body();
    before(&mut body, &arguments);
    for argument in &arguments {
        body.local_get(*argument);
    }
    body.call(function);
    let guarded = builder.finish(arguments, &mut module.funcs);
    let export = module.exports.iter_mut().find(|export| export.name == name);
    export.context("no such export")?.item = ExportItem::Function(guarded);
    Ok(())
}

fn trap_above(body: &mut InstrSeqBuilder<'_>, argument: LocalId, limit: i32) {
    body.local_get(argument).i32_const(limit).binop(BinaryOp::I32GtU);
    body.if_else(None, |then| _ = then.unreachable(), |_| {});
}

fn arm_above(body: &mut InstrSeqBuilder<'_>, argument: LocalId, armed: GlobalId) {
    body.local_get(argument).i32_const(MOST_LOGGED_HEADERS).binop(BinaryOp::I32GtU);
    body.if_else(None, |then| _ = then.i32_const(1).global_set(armed), |_| {});
}

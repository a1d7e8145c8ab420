//! The host's side of the ABI (proxy-wasm 0.2.1).

use super::{HostState, LogLine, ROOT_CONTEXT};
use crate::cel::status::{BAD_ARGUMENT, NOT_FOUND, OK, UNIMPLEMENTED};
use crate::engine::Headers;
use anyhow::{Result, ensure};
use opmeter_core::port::{Content, Message, MetricKind};
use wasmi::{Caller, Error, Extern, ExternType, Linker, Module, Val};

type Vm<'a> = Caller<'a, HostState>;
/// A status, or a trap.
type Answer = Result<u32, Error>;

/// Number of the plugin configuration among the ABI's buffers.
const PLUGIN_CONFIGURATION: i32 = 7;

/// Links every import of a module: the calls below, and `Unimplemented` for all others.
pub(super) fn link(linker: &mut Linker<HostState>, module: &Module) -> Result<()> {
    for import in module.imports() {
        ensure!(import.module() == "env", "import from {}", import.module());
        let ExternType::Func(ty) = import.ty() else { continue };
        let name = import.name().to_owned();
        linker.func_new("env", import.name(), ty.clone(), move |mut vm, arguments, results| {
            let status = dispatch(&mut vm, &name, arguments)?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(status.cast_signed());
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn dispatch(vm: &mut Vm<'_>, name: &str, arguments: &[Val]) -> Answer {
    let state = vm.data_mut();
    *state.calls.entry(name.to_owned()).or_default() += 1;
    if !state.started && name != "proxy_log" {
        return Err(Error::new(format!("restricted_callback: {name} before the VM has started")));
    }
    if let Some(status) = state.inject.get(name) {
        return Ok(*status);
    }
    let n = |i: usize| arguments.get(i).and_then(Val::i32).unwrap_or_default();
    let wide = |i: usize| arguments.get(i).and_then(Val::i64).unwrap_or_default();
    match name {
        // Nobody calls back: a case's streams do not last.
        "proxy_log" => log(vm, n(0), (n(1), n(2))),
        "proxy_get_log_level" => {
            let level = vm.data().log_level;
            write_u32(vm, n(0), level.cast_unsigned())
        }
        "proxy_get_current_time_nanoseconds" => write(vm, n(0), &[0; 8]),
        "proxy_get_buffer_bytes" => buffer(vm, &[n(0), n(1), n(2), n(3), n(4)]),
        "proxy_get_property" => {
            let path = text(vm, (n(0), n(1)))?;
            let segments: Vec<&str> = path.split('\0').collect();
            let value = vm.data_mut().proxy.property(&segments);
            let value = mangled(vm, value);
            answer(vm, value, (n(2), n(3)))
        }
        "proxy_set_property" => {
            let (path, value) = (text(vm, (n(0), n(1)))?, read(vm, (n(2), n(3)))?);
            Ok(vm.data_mut().proxy.set_property(&path, &value).map_or_else(|s| s, |()| OK))
        }
        "proxy_get_header_map_value" => {
            let name = text(vm, (n(1), n(2)))?;
            let value = headers(vm, n(0)).and_then(|all| all.get(&name).cloned().ok_or(NOT_FOUND));
            let value = mangled(vm, value);
            answer(vm, value, (n(3), n(4)))
        }
        "proxy_add_header_map_value" | "proxy_replace_header_map_value" => {
            let (header, value) = (text(vm, (n(1), n(2)))?, read(vm, (n(3), n(4)))?);
            let joined = name == "proxy_add_header_map_value";
            Ok(write_header(vm, n(0), header, value, joined))
        }
        "proxy_remove_header_map_value" => {
            let name = text(vm, (n(1), n(2)))?;
            Ok(headers(vm, n(0)).map_or_else(
                |status| status,
                |all| {
                    all.remove(&name);
                    OK
                },
            ))
        }
        "proxy_set_effective_context" => Ok(enter(vm.data_mut(), n(0))),
        "proxy_set_tick_period_milliseconds" => {
            vm.data_mut().tick_period = Some(n(0).cast_unsigned());
            Ok(OK)
        }
        "proxy_get_shared_data" => shared(vm, (n(0), n(1)), (n(2), n(3)), n(4)),
        "proxy_set_shared_data" => {
            let (name, value) = (text(vm, (n(0), n(1)))?, read(vm, (n(2), n(3)))?);
            let set = vm.data().shared.set(&name, &value, n(4).cast_unsigned());
            Ok(set.map_or_else(|status| status, |()| OK))
        }
        "proxy_define_metric" => define(vm, n(0), (n(1), n(2)), n(3)),
        "proxy_increment_metric" => {
            Ok(metric_status(vm.data_mut().metrics.increment(n(0).cast_unsigned(), wide(1))))
        }
        "proxy_get_metric" => {
            let value = vm.data().metrics.value(n(0).cast_unsigned());
            value.map_or(Ok(BAD_ARGUMENT), |value| write(vm, n(1), &value.to_le_bytes()))
        }
        "proxy_record_metric" => {
            let amount = wide(1).cast_unsigned();
            Ok(metric_status(vm.data_mut().metrics.record(n(0).cast_unsigned(), amount)))
        }
        "proxy_call_foreign_function" => {
            let (name, arguments) = (text(vm, (n(0), n(1)))?, read(vm, (n(2), n(3)))?);
            let value = foreign(vm.data_mut(), &name, &arguments);
            // A token is no value of the proxy's.
            let value = if name == "expr_evaluate" { mangled(vm, value) } else { value };
            answer(vm, value, (n(4), n(5)))
        }
        _ => Ok(UNIMPLEMENTED),
    }
}

fn mangled(vm: &mut Vm<'_>, value: Result<Vec<u8>, u32>) -> Result<Vec<u8>, u32> {
    match &mut vm.data_mut().mangle {
        Some(mangle) => mangle.apply(value),
        None => value,
    }
}

fn log(vm: &mut Vm<'_>, level: i32, message: (i32, i32)) -> Answer {
    let text = text(vm, message)?;
    vm.data_mut().log.push(LogLine { level, text });
    Ok(OK)
}

fn buffer(vm: &mut Vm<'_>, arguments: &[i32; 5]) -> Answer {
    let [kind, start, size, data, data_size] = *arguments;
    if kind != PLUGIN_CONFIGURATION {
        return Ok(NOT_FOUND);
    }
    let start = start.cast_unsigned() as usize;
    let configuration = &vm.data().configuration;
    let end = start.saturating_add(size.cast_unsigned() as usize).min(configuration.len());
    let part = configuration.get(start..end).map(<[u8]>::to_vec).ok_or(BAD_ARGUMENT);
    answer(vm, part, (data, data_size))
}

/// Number of a header map among the ABI's.
fn headers<'v>(vm: &'v mut Vm<'_>, map: i32) -> Result<&'v mut Headers, u32> {
    match map {
        0 => vm.data_mut().proxy.headers(Message::Request),
        2 => vm.data_mut().proxy.headers(Message::Response),
        _ => Err(BAD_ARGUMENT),
    }
}

/// Sets a header; or adds a value behind a comma, as Envoy shows several values of one header.
fn write_header(vm: &mut Vm<'_>, map: i32, name: String, value: Vec<u8>, add: bool) -> u32 {
    let headers = match headers(vm, map) {
        Ok(headers) => headers,
        Err(status) => return status,
    };
    match headers.get_mut(&name).filter(|_| add) {
        Some(present) => present.extend([b",", value.as_slice()].concat()),
        None => {
            headers.insert(name, value);
        }
    }
    OK
}

/// The calls that follow speak of the plugin, or of the stream that lives.
fn enter(state: &mut HostState, context: i32) -> u32 {
    if context == ROOT_CONTEXT {
        state.proxy.leave_stream();
    } else if state.stream == Some(context) {
        state.proxy.enter_stream();
    } else {
        return BAD_ARGUMENT;
    }
    OK
}

fn shared(vm: &mut Vm<'_>, name: (i32, i32), place: (i32, i32), version: i32) -> Answer {
    let name = text(vm, name)?;
    let (value, number) = vm
        .data()
        .shared
        .get(&name)
        .map_or_else(|status| (Err(status), 0), |(value, number)| (Ok(value), number));
    let status = answer(vm, value, place)?;
    if status == OK {
        write_u32(vm, version, number)?;
    }
    Ok(status)
}

fn define(vm: &mut Vm<'_>, kind: i32, name: (i32, i32), id: i32) -> Answer {
    let name = text(vm, name)?;
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Ok(BAD_ARGUMENT),
    };
    let defined = vm.data_mut().metrics.define(kind, &name);
    write_u32(vm, id, defined)
}

fn metric_status(accepted: bool) -> u32 {
    if accepted { OK } else { BAD_ARGUMENT }
}

/// Functions that Envoy offers beyond the ABI.
fn foreign(state: &mut HostState, name: &str, arguments: &[u8]) -> Result<Vec<u8>, u32> {
    let proxy = &mut state.proxy;
    let token = || arguments.try_into().map(u32::from_le_bytes).map_err(|_| BAD_ARGUMENT);
    match name {
        "expr_create" => {
            let text = std::str::from_utf8(arguments).map_err(|_| BAD_ARGUMENT)?;
            proxy.create(text).map(|token| token.to_le_bytes().to_vec())
        }
        "expr_evaluate" => proxy.evaluate_token(token()?),
        "declare_property" => {
            // DeclarePropertyArguments { name: 1, type: 3, schema: 4 }, in the two forms the module sends.
            let [10, len, rest @ ..] = arguments else { return Err(BAD_ARGUMENT) };
            let (name, kind) = rest.split_at_checked((*len).into()).ok_or(BAD_ARGUMENT)?;
            let content = match kind {
                [24, 1] => Content::Text,
                [24, 3, 34, 42, schema @ ..]
                    if schema == b"type.googleapis.com/google.protobuf.Struct" =>
                {
                    Content::Struct
                }
                _ => return Err(BAD_ARGUMENT),
            };
            let name = std::str::from_utf8(name).map_err(|_| BAD_ARGUMENT)?;
            proxy.declare_property(name, content);
            Ok(Vec::new())
        }
        _ => Err(NOT_FOUND),
    }
}

/// Copies a value into memory that the module allocates; an empty value is a null pointer.
fn answer(vm: &mut Vm<'_>, value: Result<Vec<u8>, u32>, place: (i32, i32)) -> Answer {
    let value = match value {
        Ok(value) => value,
        Err(status) => return Ok(status),
    };
    let size = i32::try_from(value.len()).map_err(|_| Error::new("a value of over 2 GB"))?;
    let data = if value.is_empty() { 0 } else { allocate(vm, size)? };
    write(vm, data, &value)?;
    write_u32(vm, place.0, data.cast_unsigned())?;
    write_u32(vm, place.1, size.cast_unsigned())
}

fn allocate(vm: &mut Vm<'_>, size: i32) -> Result<i32, Error> {
    let function = ["malloc", "proxy_on_memory_allocate"]
        .iter()
        .find_map(|name| vm.get_export(name).and_then(Extern::into_func))
        .ok_or_else(|| Error::new("the module exports no allocator"))?;
    function.typed::<i32, i32>(&*vm)?.call(&mut *vm, size)
}

fn memory(vm: &Vm<'_>) -> Result<wasmi::Memory, Error> {
    let memory = vm.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::new("the module exports no memory"))
}

fn read(vm: &Vm<'_>, (start, size): (i32, i32)) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; size.cast_unsigned() as usize];
    memory(vm)?.read(vm, start.cast_unsigned() as usize, &mut out)?;
    Ok(out)
}

fn text(vm: &Vm<'_>, place: (i32, i32)) -> Result<String, Error> {
    String::from_utf8(read(vm, place)?).map_err(|_| Error::new("a name is not UTF-8"))
}

fn write(vm: &mut Vm<'_>, start: i32, bytes: &[u8]) -> Answer {
    memory(vm)?.write(vm, start.cast_unsigned() as usize, bytes)?;
    Ok(OK)
}

fn write_u32(vm: &mut Vm<'_>, start: i32, number: u32) -> Answer {
    write(vm, start, &number.to_le_bytes())
}

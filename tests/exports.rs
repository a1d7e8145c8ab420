//! The delivered module: what it exports, what it imports, and how large it is.

use support::module;
use walrus::Module;

/// V8 compiles the module on Envoy's main thread, at about 0.65 ms per KB.
const MAX_BYTES: usize = 266 * 1024;

#[test]
fn it_exports_what_it_handles_and_nothing_else() {
    let expected = [
        "_initialize",
        "malloc",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_log",
        "proxy_on_new_connection",
        "proxy_on_request_headers",
        "proxy_on_response_headers",
        "proxy_on_response_trailers",
        "proxy_on_tick",
    ];
    assert_eq!(opmeter_pack::export_names(module::bytes()).unwrap(), expected);
}

#[test]
fn it_imports_proxy_wasm_calls_alone() {
    let module = Module::from_buffer(module::bytes()).unwrap();
    for import in module.imports.iter() {
        assert_eq!(import.module, "env", "{}", import.name);
        assert!(import.name.starts_with("proxy_"), "{}", import.name);
    }
}

#[test]
fn it_has_no_custom_sections() {
    let module = Module::from_buffer(module::bytes()).unwrap();
    let names: Vec<&str> = module.customs.iter().map(|(_, section)| section.name()).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn it_is_small() {
    let size = module::bytes().len();
    assert!(size <= MAX_BYTES, "{size} bytes, at most {MAX_BYTES} are allowed");
}

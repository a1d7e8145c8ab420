use super::*;

/// A module with everything a proxy needs, an unhandled callback, and a function only that callback reaches.
const MODULE: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_status" (func $status (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_initialize") (drop (call $log (i32.const 1) (i32.const 2) (i32.const 3))))
    (func (export "malloc") (param i32) (result i32) i32.const 0)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_log") (param i32))
    (func $reached (drop (call $status (i32.const 1) (i32.const 2) (i32.const 3))))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (call $reached) i32.const 0)
    (global (export "__heap_base") i32 (i32.const 8))
    (@custom "target_features" "abc"))"#;

fn packed(wat: &str) -> Result<Vec<u8>> {
    pack(&wat::parse_str(wat).unwrap())
}

fn message(wat: &str) -> String {
    format!("{:#}", packed(wat).unwrap_err())
}

#[test]
fn only_handled_callbacks_stay() {
    let names = export_names(&packed(MODULE).unwrap()).unwrap();
    let expected = [
        "_initialize",
        "malloc",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_log",
    ];
    assert_eq!(names, expected);
}

#[test]
fn own_callbacks_take_the_place_of_the_sdks() {
    let own = "(func (export \"opmeter_on_log\") (param i32) nop) (memory";
    let plain = packed(MODULE).unwrap();
    let replaced = packed(&MODULE.replacen("(memory", own, 1)).unwrap();
    assert_eq!(export_names(&replaced).unwrap(), export_names(&plain).unwrap());
    assert_ne!(replaced, plain);
}

#[test]
fn what_only_a_dropped_export_reached_is_gone() {
    let module = Module::from_buffer(&packed(MODULE).unwrap()).unwrap();
    let imports: Vec<&str> = module.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"]);
    assert_eq!(module.functions().count(), 6);
}

#[test]
fn sections_no_proxy_reads_are_gone() {
    let input = wat::parse_str(MODULE).unwrap();
    let has = |bytes: &[u8], section: &str| {
        bytes.windows(section.len()).any(|window| window == section.as_bytes())
    };
    assert!(has(&input, "target_features") && has(&input, "reached"));
    let output = pack(&input).unwrap();
    for section in ["target_features", "producers", "name", "reached"] {
        assert!(!has(&output, section), "{section}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let once = packed(MODULE).unwrap();
    assert_eq!(once, packed(MODULE).unwrap());
    assert_eq!(once, pack(&once).unwrap());
}

#[test]
fn what_is_not_a_module_is_refused() {
    let error = format!("{:#}", pack(b"not wasm").unwrap_err());
    assert!(error.starts_with("not a WebAssembly module: "), "{error}");
}

#[test]
fn a_module_a_proxy_could_not_load_is_refused() {
    assert_eq!(message("(module)"), "not a proxy-wasm 0.2.1 module: it does not export memory");
    let without = |export: &str| message(&MODULE.replace(&format!("(export \"{export}\")"), ""));
    assert_eq!(without("malloc"), "not a proxy-wasm 0.2.1 module: it does not export malloc");
    assert_eq!(
        without("proxy_on_log"),
        "not a proxy-wasm 0.2.1 module: it does not export proxy_on_log"
    );
}

/// The same module with a function of the SDK's dispatcher that constant data names.
fn with_dispatcher(callback: &str) -> String {
    let named = format!(
        r#"(table 1 funcref)
        (elem (i32.const 0) func $_RN10proxy_wasm10dispatcher3new)
        (func $_RN10proxy_wasm10dispatcher3new (call $reached))
        (func (export "opmeter_on_tick") (param i32) {callback})
        (memory"#
    );
    MODULE.replacen("(memory", &named, 1)
}

#[test]
fn the_sdks_dispatcher_is_gone_with_what_it_reached() {
    let module = Module::from_buffer(&packed(&with_dispatcher("nop")).unwrap()).unwrap();
    let imports: Vec<&str> = module.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"]);
}

#[test]
fn a_dispatcher_that_is_still_called_is_no_module_to_deliver() {
    let error = message(&with_dispatcher("(call $_RN10proxy_wasm10dispatcher3new)"));
    assert_eq!(error, "the SDK's dispatcher is still called: _RN10proxy_wasm10dispatcher3new");
}

//! Calls from the host.

use crate::{root, streams};

/// Go on with the stream.
const CONTINUE: u32 = 0;
/// Done, or accepted.
const YES: u32 = 1;
/// No parent: a root context.
const NO_PARENT: u32 = 0;

/// Tells the proxy which ABI to speak.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// What a proxy calls first, when most calls to it would still be refused.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

/// Memory for a value that the host returns, to be taken over as a boxed slice.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "malloc"))]
extern "C" fn allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    if parent == NO_PARENT {
        streams::add_root(context);
    } else {
        streams::add(context, parent);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_context: u32, _size: u32) -> u32 {
    YES
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: u32) -> u32 {
    u32::from(root::on_configure(context))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    streams::on_tick(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, _end: u32) -> u32 {
    streams::on_request(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: u32, _end: u32) -> u32 {
    streams::on_response(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(context: u32) -> u32 {
    streams::on_connection(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    streams::on_log(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> u32 {
    streams::on_done();
    YES
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    streams::remove(context);
}

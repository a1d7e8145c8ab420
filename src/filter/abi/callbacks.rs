//! Calls from the host.
//!
//! The SDK exports the ABI's callbacks under their own names, so these have names of their own; `opmeter-pack` puts each
//! in the place of the SDK's. What concerns a root context is handed on to the SDK.

use crate::streams;

unsafe extern "C" {
    fn proxy_on_context_create(context: u32, parent: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
}

/// Go on with the stream.
const CONTINUE: u32 = 0;

/// No parent: a root context.
const NO_PARENT: u32 = 0;

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_context_create(context: u32, parent: u32) {
    if parent == NO_PARENT {
        // SAFETY: the SDK's callback, with the arguments the host gave.
        unsafe { proxy_on_context_create(context, parent) };
    } else {
        streams::add(context, parent);
    }
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_request_headers(context: u32, _headers: u32, _end: u32) -> u32 {
    streams::on_request(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_response_headers(context: u32, _headers: u32, _end: u32) -> u32 {
    streams::on_response(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_new_connection(context: u32) -> u32 {
    streams::on_connection(context);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_log(context: u32) {
    streams::on_log(context);
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_done(context: u32) -> u32 {
    if streams::on_done(context) {
        return 1;
    }
    // SAFETY: as above.
    u32::from(unsafe { proxy_on_done(context) })
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_delete(context: u32) {
    if !streams::remove(context) {
        streams::remove_root(context);
        // SAFETY: as above.
        unsafe { proxy_on_delete(context) };
    }
}

//! Calls from the host.
//!
//! The SDK exports the ABI's callbacks under their own names, so these have names of their own; `opmeter-pack` puts each
//! in the place of the SDK's, whose dispatcher then is no part of the module.

use crate::{root, streams};

/// Go on with the stream.
const CONTINUE: u32 = 0;
/// No parent: a root context.
const NO_PARENT: u32 = 0;

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_memory_allocate(size: usize) -> *mut u8 {
    super::room::lend(size)
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_context_create(context: u32, parent: u32) {
    if parent == NO_PARENT {
        streams::add_root(context);
    } else {
        streams::add(context, parent);
    }
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_configure(context: u32, _size: u32) -> u32 {
    u32::from(root::on_configure(context))
}

#[unsafe(no_mangle)]
extern "C" fn opmeter_on_tick(context: u32) {
    streams::on_tick(context);
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
extern "C" fn opmeter_on_response_trailers(context: u32, _trailers: u32) -> u32 {
    streams::on_response_trailers(context);
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
extern "C" fn opmeter_on_delete(context: u32) {
    streams::remove(context);
}

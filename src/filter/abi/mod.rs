//! The border to the host: calls to it here, calls from it in [`callbacks`]. The only unsafe code of the module.
//!
//! The SDK's own calls panic on a status they do not expect and on header bytes that are not UTF-8, and a panic takes the
//! worker's VM down for every later request. Here a status is a plain number and a value is bytes.
#![allow(unsafe_code)]

mod callbacks;
mod room;

pub use room::give_back;

use std::ptr::null_mut;

/// A status of the proxy-wasm ABI other than `OK`.
pub type Status = u32;

const OK: Status = 0;

/// The kinds of metric, as the ABI numbers them.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum MetricType {
    /// Only grows.
    Counter = 0,
    /// Holds the last value.
    Gauge = 1,
    /// Counts values in buckets.
    Histogram = 2,
}

/// The header maps of a stream, as the ABI numbers them.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum HeaderMap {
    /// Headers of the request.
    Request = 0,
    /// Headers of the response.
    Response = 2,
}

/// Status of something that is not there.
pub const NOT_FOUND: Status = 1;

/// Status of shared data that has another version.
pub const CAS_MISMATCH: Status = 8;

/// Stands for no version: to set shared data whatever its version.
pub const ANY_VERSION: u32 = 0;

/// Number of the plugin configuration among the ABI's buffers.
const PLUGIN_CONFIGURATION: u32 = 7;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_log_level(level: *mut u32) -> Status;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> Status;
    fn proxy_increment_metric(id: u32, offset: i64) -> Status;
    fn proxy_record_metric(id: u32, value: u64) -> Status;
    fn proxy_get_metric(id: u32, value: *mut u64) -> Status;
    fn proxy_get_shared_data(
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> Status;
    fn proxy_set_shared_data(
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> Status;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> Status;
    fn proxy_set_effective_context(context: u32) -> Status;
    fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> Status;
}

/// The host's log level: 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
pub fn log_level() -> Result<u32, Status> {
    let mut level = 0;
    // SAFETY: the host writes one u32.
    check(unsafe { proxy_get_log_level(&mut level) }).map(|()| level)
}

/// The plugin configuration; empty when there is none.
pub fn plugin_configuration() -> Result<Vec<u8>, Status> {
    // SAFETY: the host writes a pointer and a size.
    answer(|data, size| unsafe {
        proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size)
    })
}

/// A property by its path, segments joined by NUL.
pub fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: `path` outlives the call; the host writes a pointer and a size.
    answer(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property by its path, segments joined by NUL.
pub fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: both slices outlive the call.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Defines a metric by its stat name and returns its id.
pub fn define_metric(kind: MetricType, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: `name` outlives the call; the host writes one u32.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) })
        .map(|()| id)
}

/// Adds to a counter or gauge.
pub fn increment_metric(id: u32, offset: i64) -> Result<(), Status> {
    // SAFETY: numbers only.
    check(unsafe { proxy_increment_metric(id, offset) })
}

/// Sets a gauge or adds a value to a histogram.
pub fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    // SAFETY: numbers only.
    check(unsafe { proxy_record_metric(id, value) })
}

/// The value of a counter or gauge, of all VMs together.
pub fn metric(id: u32) -> Result<u64, Status> {
    let mut value = 0;
    // SAFETY: the host writes one u64.
    check(unsafe { proxy_get_metric(id, &mut value) }).map(|()| value)
}

/// What the VMs of a proxy share under a name, and its version.
pub fn shared_data(name: &str) -> Result<(Vec<u8>, u32), Status> {
    let mut version = ANY_VERSION;
    // SAFETY: `name` outlives the call; the host writes a pointer, a size and one u32.
    let value = answer(|data, size| unsafe {
        proxy_get_shared_data(name.as_ptr(), name.len(), data, size, &mut version)
    });
    value.map(|value| (value, version))
}

/// Shares a value, if what is shared has this version.
pub fn set_shared_data(name: &str, value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: both slices outlive the call.
    check(unsafe {
        proxy_set_shared_data(name.as_ptr(), name.len(), value.as_ptr(), value.len(), version)
    })
}

/// The value of a header.
pub fn header(map: HeaderMap, name: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: `name` outlives the call; the host writes a pointer and a size.
    answer(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// Gives a header one value, whether it is there or not.
pub fn set_header(map: HeaderMap, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: both slices outlive the call.
    check(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Takes all values of a header away.
pub fn remove_header(map: HeaderMap, name: &str) -> Result<(), Status> {
    // SAFETY: `name` outlives the call.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Makes the calls that follow speak of another stream.
pub fn set_effective_context(context: u32) -> Result<(), Status> {
    // SAFETY: numbers only.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Asks to be called every so many milliseconds; 0 for never.
pub fn set_tick_period(milliseconds: u32) -> Result<(), Status> {
    // SAFETY: numbers only.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Calls a function that the host offers beyond the ABI.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: both slices outlive the call; the host writes a pointer and a size.
    answer(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

fn check(status: Status) -> Result<(), Status> {
    if status == OK { Ok(()) } else { Err(status) }
}

/// Takes over the room that a call filled; an empty answer may have none.
fn answer(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0;
    check(call(&mut data, &mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host had the room from our allocator, filled it up to `size` and keeps no reference to it.
    Ok(unsafe { room::take(data, size) })
}

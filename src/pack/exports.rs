//! The exports of the finished module and why each is there.

/// Exports that stay. A proxy calls back whatever is exported: a callback nobody handles would still cost every stream,
/// and every body chunk, a way into the VM.
pub const KEPT: [(&str, &str); 15] = [
    ("memory", "the proxy reads and writes values there"),
    ("malloc", "the proxy allocates the values it returns"),
    ("proxy_on_memory_allocate", "the same allocator under its later name"),
    ("_initialize", "what a proxy calls first"),
    ("proxy_abi_version_0_2_1", "tells the proxy which ABI to speak"),
    ("proxy_on_vm_start", "start of a VM, one per worker"),
    ("proxy_on_configure", "reads the plugin configuration"),
    ("proxy_on_context_create", "one context per stream"),
    ("proxy_on_tick", "reports streams that last"),
    ("proxy_on_new_connection", "tells a TCP connection from a request"),
    ("proxy_on_request_headers", "attributes of the request phase, metadata exchange"),
    ("proxy_on_response_headers", "metadata exchange"),
    ("proxy_on_log", "records the stream, or the entry of an access log"),
    ("proxy_on_done", "lets the proxy end a context"),
    ("proxy_on_delete", "frees a stream's context"),
];

/// Groups of exports of which a module must have at least one.
pub(crate) const REQUIRED: [&[&str]; 6] = [
    &["memory"],
    &["malloc", "proxy_on_memory_allocate"],
    &["_initialize"],
    &["proxy_abi_version_0_2_1"],
    &["proxy_on_configure"],
    &["proxy_on_log"],
];

/// Whether an export stays.
pub fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|(kept, _)| *kept == name)
}

//! The exports of the finished module and why each is there.

/// Exports that stay. A proxy calls back whatever is exported: a callback nobody handles would still cost every stream,
/// and every body chunk, a way into the VM.
pub const KEPT: [(&str, &str); 13] = [
    ("memory", "the proxy reads and writes values there"),
    ("malloc", "the proxy asks for room for the values it returns"),
    ("_initialize", "sets up logging"),
    ("proxy_abi_version_0_2_1", "tells the proxy which ABI to speak"),
    ("proxy_on_configure", "reads the plugin configuration"),
    ("proxy_on_context_create", "one context per stream"),
    ("proxy_on_tick", "reports streams that last"),
    ("proxy_on_new_connection", "tells a TCP connection from a request"),
    ("proxy_on_request_headers", "attributes of the request phase, metadata exchange"),
    ("proxy_on_response_headers", "metadata exchange"),
    ("proxy_on_response_trailers", "the gRPC status over HTTP/3, which the end does not tell"),
    ("proxy_on_log", "records the stream, or the entry of an access log"),
    ("proxy_on_delete", "frees a stream's context"),
];

/// What the module's own callbacks are called before packing: `opmeter_on_log` takes the place of the SDK's `proxy_on_log`.
pub const OWN_PREFIX: &str = "opmeter_on_";

/// The ABI's name of one of the module's own callbacks. Room for answers is asked for under an older name: only callbacks that
/// are called `proxy_on_` can be forbidden.
pub(crate) fn abi_name(own: &str) -> Option<String> {
    if own == "opmeter_on_memory_allocate" {
        return Some("malloc".to_owned());
    }
    own.strip_prefix(OWN_PREFIX).map(|callback| format!("proxy_on_{callback}"))
}

/// Groups of exports of which a module must have at least one.
pub(crate) const REQUIRED: [&[&str]; 6] = [
    &["memory"],
    &["malloc"],
    &["_initialize"],
    &["proxy_abi_version_0_2_1"],
    &["proxy_on_configure"],
    &["proxy_on_log"],
];

/// Whether an export stays.
pub fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|(kept, _)| *kept == name)
}

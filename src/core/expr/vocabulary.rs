//! Envoy's attribute vocabulary (Envoy docs: attributes), and the names the caller derives itself.

/// Type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// Text; bytes as received.
    Str,
    /// Signed 64-bit number.
    Int,
    /// Unsigned 64-bit number.
    Uint,
    /// True or false.
    Bool,
    /// Nanoseconds.
    Duration,
    /// Nanoseconds since 1970.
    Timestamp,
    /// A header map: lower-case name to value.
    Headers,
    /// A protobuf message or a map of filter state: evaluated by the host.
    Message,
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// As an expression spells it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: AttributeType,
    /// Known while the plugin is configured and the same for every request.
    pub fixed: bool,
}

/// Index into [`ATTRIBUTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeId(pub u16);

use AttributeType::{Bool, Duration, Headers, Int, Message, Str, Timestamp, Uint};

/// Every attribute of the Envoys that the module supports, sorted by name; what an Envoy does not have yet is absent for all
/// its streams, which is no error (`request.headers_bytes` and `response.headers_bytes` came with 1.37). Bare old names (`node`, `route_name`, ...) belong to Istio before 1.22
/// and are left to the host.
pub const ATTRIBUTES: &[Attribute] = &[
    attribute("connection.dns_san_local_certificate", Str),
    attribute("connection.dns_san_peer_certificate", Str),
    attribute("connection.id", Uint),
    attribute("connection.mtls", Bool),
    attribute("connection.requested_server_name", Str),
    attribute("connection.sha256_peer_certificate_digest", Str),
    attribute("connection.subject_local_certificate", Str),
    attribute("connection.subject_peer_certificate", Str),
    attribute("connection.termination_details", Str),
    attribute("connection.tls_version", Str),
    attribute("connection.transport_failure_reason", Str),
    attribute("connection.uri_san_local_certificate", Str),
    attribute("connection.uri_san_peer_certificate", Str),
    attribute("destination.address", Str),
    attribute("destination.port", Int),
    attribute("filter_state", Message),
    attribute("metadata", Message),
    attribute("plugin_name", Message),
    attribute("plugin_root_id", Message),
    attribute("plugin_vm_id", Message),
    attribute("request.duration", Duration),
    attribute("request.headers", Headers),
    attribute("request.headers_bytes", Int),
    attribute("request.host", Str),
    attribute("request.id", Str),
    attribute("request.method", Str),
    attribute("request.path", Str),
    attribute("request.protocol", Str),
    attribute("request.query", Str),
    attribute("request.referer", Str),
    attribute("request.scheme", Str),
    attribute("request.size", Int),
    attribute("request.time", Timestamp),
    attribute("request.total_size", Int),
    attribute("request.url_path", Str),
    attribute("request.useragent", Str),
    attribute("response.backend_latency", Duration),
    attribute("response.code", Int),
    attribute("response.code_details", Str),
    attribute("response.flags", Int),
    attribute("response.grpc_status", Int),
    attribute("response.headers", Headers),
    attribute("response.headers_bytes", Int),
    attribute("response.size", Int),
    attribute("response.total_size", Int),
    attribute("response.trailers", Headers),
    attribute("source.address", Str),
    attribute("source.port", Int),
    attribute("upstream.address", Str),
    attribute("upstream.cx_pool_ready_duration", Duration),
    attribute("upstream.dns_san_local_certificate", Str),
    attribute("upstream.dns_san_peer_certificate", Str),
    attribute("upstream.local_address", Str),
    attribute("upstream.locality", Message),
    attribute("upstream.num_endpoints", Uint),
    attribute("upstream.port", Int),
    attribute("upstream.request_attempt_count", Uint),
    attribute("upstream.sha256_peer_certificate_digest", Str),
    attribute("upstream.subject_local_certificate", Str),
    attribute("upstream.subject_peer_certificate", Str),
    attribute("upstream.tls_version", Str),
    attribute("upstream.transport_failure_reason", Str),
    attribute("upstream.uri_san_local_certificate", Str),
    attribute("upstream.uri_san_peer_certificate", Str),
    attribute("upstream_filter_state", Message),
    attribute("xds.cluster_metadata", Message),
    attribute("xds.cluster_name", Str),
    attribute("xds.filter_chain_name", Str),
    attribute("xds.listener_direction", Int),
    attribute("xds.listener_metadata", Message),
    Attribute { name: "xds.node", kind: Message, fixed: true },
    attribute("xds.route_metadata", Message),
    attribute("xds.route_name", Str),
    attribute("xds.upstream_host_locality_metadata", Message),
    attribute("xds.upstream_host_metadata", Message),
    attribute("xds.virtual_host_metadata", Message),
    attribute("xds.virtual_host_name", Str),
];

const fn attribute(name: &'static str, kind: AttributeType) -> Attribute {
    Attribute { name, kind, fixed: false }
}

/// The names an expression may use besides Envoy's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'n> {
    /// What the caller derives, without dots. `istio_operation_id` is read as `istio_operation_id` and as
    /// `filter_state['wasm.istio_operation_id']`.
    pub derived: &'n [String],
}

// === impl AttributeId ===

impl AttributeId {
    /// The attribute `name`, such as `request.url_path`.
    pub fn of(name: &str) -> Option<AttributeId> {
        let at = ATTRIBUTES.binary_search_by(|attribute| attribute.name.cmp(name)).ok()?;
        Some(AttributeId(at as u16))
    }

    /// Its row, if the id came from [`AttributeId::of`].
    pub fn attribute(self) -> Option<&'static Attribute> {
        ATTRIBUTES.get(usize::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_unique() {
        for pair in ATTRIBUTES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn names_are_one_or_two_identifiers() {
        for attribute in ATTRIBUTES {
            let parts: Vec<&str> = attribute.name.split('.').collect();
            let word = |part: &&str| {
                part.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
            };
            assert!(parts.len() <= 2 && parts.iter().all(word), "{}", attribute.name);
        }
    }

    #[test]
    fn found_by_name() {
        for (at, attribute) in ATTRIBUTES.iter().enumerate() {
            assert_eq!(AttributeId::of(attribute.name), Some(AttributeId(at as u16)));
        }
        assert_eq!(AttributeId::of("request.pth"), None);
    }
}

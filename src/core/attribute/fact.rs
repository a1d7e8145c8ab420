//! The table of facts: each a CEL expression over Envoy's attributes (Envoy documentation, "Attributes").
//!
//! One absent attribute makes a whole CEL list fail, so every expression here guards itself and yields `''` for absent.

use crate::text::cut;

/// One fact about a stream; first those that standard labels are made of, so that they lie in one piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// 0 unspecified, 1 inbound, 2 outbound.
    ListenerDirection,
    /// The Host or `:authority` header.
    Host,
    /// The request's `content-type` header.
    ContentType,
    /// HTTP status sent downstream; absent when there was no response.
    ResponseCode,
    /// gRPC status from trailers, headers or the HTTP status.
    GrpcStatus,
    /// Bit mask of response flags.
    ResponseFlags,
    /// Name of the matched route.
    RouteName,
    /// Name of the chosen upstream cluster.
    ClusterName,
    /// First entry of the cluster's Istio service list, a map of `host`, `name`, `namespace`.
    ClusterService,
    /// First URI SAN of the local certificate towards the client.
    DownstreamLocalSan,
    /// First URI SAN of the client's certificate.
    DownstreamPeerSan,
    /// First URI SAN of the local certificate towards the upstream.
    UpstreamLocalSan,
    /// First URI SAN of the upstream's certificate.
    UpstreamPeerSan,
    /// The client's identity as the proxy knows it, which may be another than the certificate's (HBONE).
    PeerPrincipal,
    /// The proxy's own identity towards the client, likewise.
    LocalPrincipal,
    /// The client as this module's filter has published it, else as the proxy's own metadata exchange knows it, a map.
    DownstreamPeer,
    /// The upstream likewise.
    UpstreamPeer,
    /// The chosen endpoint's `istio.workload` metadata.
    EndpointWorkload,
    /// The request's method.
    Method,
    /// The request's path as received, with its query.
    Path,
    /// Whether the cluster lies outside the mesh.
    ClusterExternal,
    /// Whether the cluster's endpoints take no exchange headers.
    ClusterDisablesExchange,
    /// Messages of a gRPC stream so far, `requests,responses`.
    GrpcMessages,
    /// Nanoseconds from the first byte in to the last byte out; absent when the stream did not complete.
    Duration,
    /// Bytes of request headers, body and trailers.
    RequestBytes,
    /// Bytes of response headers, body and trailers.
    ResponseBytes,
    /// Number of the downstream connection.
    ConnectionId,
    /// Address and port of the chosen endpoint.
    UpstreamAddress,
}

/// How many facts there are.
pub const FACT_COUNT: usize = TABLE.len();

/// Every fact and the expression that yields it, in the order of [`Fact`].
pub const TABLE: [(Fact, &str); 28] = [
    (Fact::ListenerDirection, "has(xds.listener_direction) ? xds.listener_direction : ''"),
    (Fact::Host, "has(request.host) ? request.host : ''"),
    (Fact::ContentType, "'content-type' in request.headers ? request.headers['content-type'] : ''"),
    (Fact::ResponseCode, "has(response.code) ? response.code : ''"),
    (Fact::GrpcStatus, "has(response.grpc_status) ? response.grpc_status : ''"),
    (Fact::ResponseFlags, "has(response.flags) ? response.flags : ''"),
    (Fact::RouteName, "has(xds.route_name) ? xds.route_name : ''"),
    (Fact::ClusterName, "has(xds.cluster_name) ? xds.cluster_name : ''"),
    (
        Fact::ClusterService,
        "has(xds.cluster_metadata) && has(xds.cluster_metadata.filter_metadata.istio) \
         && has(xds.cluster_metadata.filter_metadata.istio.services) \
         && size(xds.cluster_metadata.filter_metadata.istio.services) > 0 \
         ? xds.cluster_metadata.filter_metadata.istio.services[0] : ''",
    ),
    (
        Fact::DownstreamLocalSan,
        "has(connection.uri_san_local_certificate) ? connection.uri_san_local_certificate : ''",
    ),
    (
        Fact::DownstreamPeerSan,
        "has(connection.uri_san_peer_certificate) ? connection.uri_san_peer_certificate : ''",
    ),
    (
        Fact::UpstreamLocalSan,
        "has(upstream.uri_san_local_certificate) ? upstream.uri_san_local_certificate : ''",
    ),
    (
        Fact::UpstreamPeerSan,
        "has(upstream.uri_san_peer_certificate) ? upstream.uri_san_peer_certificate : ''",
    ),
    (
        Fact::PeerPrincipal,
        "'io.istio.peer_principal' in filter_state ? filter_state['io.istio.peer_principal'] : ''",
    ),
    (
        Fact::LocalPrincipal,
        "'io.istio.local_principal' in filter_state ? filter_state['io.istio.local_principal'] : ''",
    ),
    (
        Fact::DownstreamPeer,
        "'wasm.downstream_peer' in filter_state ? filter_state['wasm.downstream_peer'] \
         : 'downstream_peer' in filter_state ? filter_state['downstream_peer'] : ''",
    ),
    (
        Fact::UpstreamPeer,
        "'wasm.upstream_peer' in filter_state ? filter_state['wasm.upstream_peer'] \
         : 'upstream_peer' in filter_state ? filter_state['upstream_peer'] : ''",
    ),
    (
        Fact::EndpointWorkload,
        "has(xds.upstream_host_metadata) && xds.upstream_host_metadata != null \
         && has(xds.upstream_host_metadata.filter_metadata.istio) \
         && has(xds.upstream_host_metadata.filter_metadata.istio.workload) \
         ? xds.upstream_host_metadata.filter_metadata.istio.workload : ''",
    ),
    (Fact::Method, "has(request.method) ? request.method : ''"),
    (Fact::Path, "has(request.path) ? request.path : ''"),
    (
        Fact::ClusterExternal,
        "has(xds.cluster_metadata) && has(xds.cluster_metadata.filter_metadata.istio) \
         && has(xds.cluster_metadata.filter_metadata.istio.external) \
         ? xds.cluster_metadata.filter_metadata.istio.external : ''",
    ),
    (
        Fact::ClusterDisablesExchange,
        "has(xds.cluster_metadata) && has(xds.cluster_metadata.filter_metadata.istio) \
         && has(xds.cluster_metadata.filter_metadata.istio.disable_mx) \
         ? xds.cluster_metadata.filter_metadata.istio.disable_mx : ''",
    ),
    (
        Fact::GrpcMessages,
        "'envoy.filters.http.grpc_stats' in filter_state \
         ? filter_state['envoy.filters.http.grpc_stats'] : ''",
    ),
    (Fact::Duration, "has(request.duration) ? request.duration : ''"),
    (Fact::RequestBytes, "has(request.total_size) ? request.total_size : ''"),
    (Fact::ResponseBytes, "has(response.total_size) ? response.total_size : ''"),
    (Fact::ConnectionId, "has(connection.id) ? connection.id : ''"),
    (Fact::UpstreamAddress, "has(upstream.address) ? upstream.address : ''"),
];

// === impl Fact ===

impl Fact {
    /// Position in [`TABLE`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Path of the attribute it is, segments joined by NUL.
    pub fn path(self) -> &'static str {
        match self {
            Fact::ListenerDirection => "xds\0listener_direction",
            Fact::Host => "request\0host",
            Fact::Method => "request\0method",
            Fact::Path => "request\0path",
            Fact::ContentType => "request\0headers\0content-type",
            Fact::ResponseCode => "response\0code",
            Fact::GrpcStatus => "response\0grpc_status",
            Fact::ResponseFlags => "response\0flags",
            Fact::RouteName => "xds\0route_name",
            Fact::ClusterName => "xds\0cluster_name",
            Fact::ClusterService => "xds\0cluster_metadata\0filter_metadata\0istio\0services\x000",
            Fact::ClusterExternal => "xds\0cluster_metadata\0filter_metadata\0istio\0external",
            Fact::ClusterDisablesExchange => {
                "xds\0cluster_metadata\0filter_metadata\0istio\0disable_mx"
            }
            Fact::DownstreamLocalSan => "connection\0uri_san_local_certificate",
            Fact::DownstreamPeerSan => "connection\0uri_san_peer_certificate",
            Fact::UpstreamLocalSan => "upstream\0uri_san_local_certificate",
            Fact::UpstreamPeerSan => "upstream\0uri_san_peer_certificate",
            Fact::PeerPrincipal => "filter_state\0io.istio.peer_principal",
            Fact::LocalPrincipal => "filter_state\0io.istio.local_principal",
            Fact::DownstreamPeer => "filter_state\0downstream_peer",
            Fact::UpstreamPeer => "filter_state\0upstream_peer",
            Fact::EndpointWorkload => {
                "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload"
            }
            Fact::GrpcMessages => "filter_state\0envoy.filters.http.grpc_stats",
            Fact::Duration => "request\0duration",
            Fact::RequestBytes => "request\0total_size",
            Fact::ResponseBytes => "response\0total_size",
            Fact::ConnectionId => "connection\0id",
            Fact::UpstreamAddress => "upstream\0address",
        }
    }

    /// The bare attribute, for what every ordinary request has, or some proxy's every request: to guard it costs as much as to
    /// read it.
    pub(crate) fn bare(self) -> Option<&'static str> {
        let some_have = matches!(
            self,
            Fact::ContentType | Fact::RouteName | Fact::ClusterName | Fact::UpstreamAddress
        );
        if !some_have && !self.is_ordinary() {
            return None;
        }
        let (_, value) = cut(self.expression(), " ? ")?;
        value.strip_suffix(" : ''")
    }

    /// Whether every request has it that was read and answered.
    pub(crate) fn is_ordinary(self) -> bool {
        matches!(
            self,
            Fact::ListenerDirection
                | Fact::Host
                | Fact::Method
                | Fact::Path
                | Fact::ResponseCode
                | Fact::GrpcStatus
                | Fact::ResponseFlags
                | Fact::Duration
                | Fact::RequestBytes
                | Fact::ResponseBytes
                | Fact::ConnectionId
        )
    }

    /// Whether standard labels are made of it; the others are measured, or lead to what is.
    pub(crate) fn is_of_labels(self) -> bool {
        self < Fact::Method
    }

    /// Whether nothing has it that has no request headers.
    pub(crate) fn is_of_headers(self) -> bool {
        matches!(self, Fact::Host | Fact::Method | Fact::Path)
    }

    /// The expression that yields it.
    pub fn expression(self) -> &'static str {
        TABLE.get(self.index()).map(|(_, text)| *text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (position, (fact, _)) in TABLE.iter().enumerate() {
            assert_eq!(fact.index(), position);
        }
    }

    /// The path has the segments that the expression ends with, an index and a quoted key included.
    #[test]
    fn path_and_expression_mean_the_same_attribute() {
        for (fact, expression) in TABLE {
            let attribute = expression.rsplit('?').next().and_then(|rest| rest.split(" : ").next());
            let attribute = attribute.unwrap_or_default().trim().replace(['[', ']'], "\0");
            let segments = attribute.split('\0').filter(|part| !part.is_empty());
            let path: Vec<String> = segments
                .map(|part| match part.strip_prefix('\'').and_then(|p| p.strip_suffix('\'')) {
                    Some(key) => key.to_owned(),
                    None => part.replace('.', "\0"),
                })
                .collect();
            assert_eq!(path.join("\0"), fact.path(), "{fact:?}");
        }
    }

    #[test]
    fn every_fact_guards_itself() {
        for (fact, expression) in TABLE {
            assert!(
                expression.ends_with(": ''"),
                "{fact:?} yields nothing for an absent attribute"
            );
        }
    }
}

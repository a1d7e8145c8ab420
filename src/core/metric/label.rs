//! The value of every standard label, by reporter (Istio stats: label sources).

use crate::attribute::{Fact, Facts};
use crate::mesh::{Destination, LATEST, LocalNode, PeerView, UNKNOWN, or};
use crate::metric::text::canonical;
use crate::peer::{Field, spiffe};

/// A standard label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as the label it stands for, see Label::name")]
pub enum Label {
    Reporter,
    SourceWorkload,
    SourceCanonicalService,
    SourceCanonicalRevision,
    SourceWorkloadNamespace,
    SourcePrincipal,
    SourceApp,
    SourceVersion,
    SourceCluster,
    DestinationWorkload,
    DestinationWorkloadNamespace,
    DestinationPrincipal,
    DestinationApp,
    DestinationVersion,
    DestinationService,
    DestinationCanonicalService,
    DestinationCanonicalRevision,
    DestinationServiceName,
    DestinationServiceNamespace,
    DestinationCluster,
    RequestProtocol,
    ResponseCode,
    GrpcResponseStatus,
    ResponseFlags,
    ConnectionSecurityPolicy,
}

/// Whose point of view the labels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// The client's proxy, or a gateway.
    Source,
    /// The server's proxy.
    Destination,
    /// A waypoint: speaks for the destination without being its workload.
    Waypoint,
}

/// A label's value before it is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value: the label is not written.
    Absent,
    /// Any bytes that do not end in a dot, see [`canonical`].
    Text(&'a [u8]),
    /// A decimal number.
    Int(i64),
    /// A bit mask of Envoy's response flags, in the order of a request's.
    Flags(u64),
    /// The same in the order of a connection's.
    ConnectionFlags(u64),
}

/// All that the standard labels of one stream are made of.
#[derive(Debug)]
pub struct Labels<'a> {
    /// Point of view.
    pub reporter: Reporter,
    /// The proxy's own workload.
    pub local: &'a LocalNode,
    /// The client's workload.
    pub downstream: PeerView<'a>,
    /// The upstream's workload.
    pub upstream: PeerView<'a>,
    /// The service the request was for.
    pub destination: Destination<'a>,
    /// Facts of the stream.
    pub facts: &'a Facts<'a>,
    /// Whether the stream is a TCP connection rather than a request.
    pub tcp: bool,
    /// Whether the request was gRPC's when it arrived; `None` when that is not known.
    pub grpc: Option<bool>,
    /// The gRPC status, where the facts do not tell it.
    pub grpc_status: Option<i64>,
}

// === impl Label ===

impl Label {
    /// Name of the label in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Label::Reporter => "reporter",
            Label::SourceWorkload => "source_workload",
            Label::SourceCanonicalService => "source_canonical_service",
            Label::SourceCanonicalRevision => "source_canonical_revision",
            Label::SourceWorkloadNamespace => "source_workload_namespace",
            Label::SourcePrincipal => "source_principal",
            Label::SourceApp => "source_app",
            Label::SourceVersion => "source_version",
            Label::SourceCluster => "source_cluster",
            Label::DestinationWorkload => "destination_workload",
            Label::DestinationWorkloadNamespace => "destination_workload_namespace",
            Label::DestinationPrincipal => "destination_principal",
            Label::DestinationApp => "destination_app",
            Label::DestinationVersion => "destination_version",
            Label::DestinationService => "destination_service",
            Label::DestinationCanonicalService => "destination_canonical_service",
            Label::DestinationCanonicalRevision => "destination_canonical_revision",
            Label::DestinationServiceName => "destination_service_name",
            Label::DestinationServiceNamespace => "destination_service_namespace",
            Label::DestinationCluster => "destination_cluster",
            Label::RequestProtocol => "request_protocol",
            Label::ResponseCode => "response_code",
            Label::GrpcResponseStatus => "grpc_response_status",
            Label::ResponseFlags => "response_flags",
            Label::ConnectionSecurityPolicy => "connection_security_policy",
        }
    }

    /// Whether it tells who talks to whom; the others tell what came of it.
    pub fn tells_of_others(self) -> bool {
        !matches!(
            self,
            Label::Reporter
                | Label::RequestProtocol
                | Label::ResponseCode
                | Label::GrpcResponseStatus
                | Label::ResponseFlags
                | Label::ConnectionSecurityPolicy
        )
    }

    /// Whether it is told from the proxy's own node, so that it is the same for all streams.
    pub fn is_own(self, reporter: Reporter) -> bool {
        match self {
            Label::SourceWorkload
            | Label::SourceCanonicalService
            | Label::SourceCanonicalRevision
            | Label::SourceWorkloadNamespace
            | Label::SourceApp
            | Label::SourceVersion
            | Label::SourceCluster => reporter == Reporter::Source,
            Label::DestinationWorkload
            | Label::DestinationCanonicalService
            | Label::DestinationCanonicalRevision
            | Label::DestinationWorkloadNamespace
            | Label::DestinationApp
            | Label::DestinationVersion
            | Label::DestinationCluster
            | Label::DestinationServiceNamespace => reporter == Reporter::Destination,
            _ => false,
        }
    }

    /// What an empty value is written as. Prometheus takes an empty label for none, which only
    /// `grpc_response_status` may be.
    pub fn fallback(self) -> &'static [u8] {
        match self {
            Label::SourceCanonicalRevision | Label::DestinationCanonicalRevision => LATEST,
            Label::GrpcResponseStatus => b"",
            _ => UNKNOWN,
        }
    }
}

// === impl Reporter ===

impl Reporter {
    /// From Envoy's listener direction: inbound (1) is the destination, everything else the source.
    pub fn of_direction(direction: Option<i64>) -> Self {
        match direction {
            Some(1) => Reporter::Destination,
            _ => Reporter::Source,
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Reporter::Source => b"source",
            Reporter::Destination => b"destination",
            Reporter::Waypoint => b"waypoint",
        }
    }
}

// === impl Labels ===

impl<'a> Labels<'a> {
    /// The label's value; never empty unless the label may be.
    pub fn value(&self, label: Label) -> Value<'a> {
        match label {
            Label::ResponseCode => {
                Value::Int(self.facts.int(Fact::ResponseCode).unwrap_or_default())
            }
            Label::GrpcResponseStatus => {
                match self.grpc_status.or(self.facts.int(Fact::GrpcStatus)) {
                    Some(status) if self.is_grpc() => Value::Int(status),
                    _ => Value::Text(b""),
                }
            }
            Label::ResponseFlags => {
                let flags = self.facts.int(Fact::ResponseFlags).unwrap_or_default();
                let flags = flags.cast_unsigned();
                // One flag has no order, and what is the same is one label set.
                let ordered = flags.count_ones() > 1;
                if self.tcp && ordered {
                    Value::ConnectionFlags(flags)
                } else {
                    Value::Flags(flags)
                }
            }
            _ => {
                let text = or(canonical(self.text(label)), canonical(self.missing(label)));
                Value::Text(or(text, label.fallback()))
            }
        }
    }

    fn text(&self, label: Label) -> &'a [u8] {
        match label {
            Label::Reporter => self.reporter.name(),
            Label::RequestProtocol => self.protocol(),
            Label::ConnectionSecurityPolicy => self.security_policy(),
            Label::DestinationService => self.destination.service,
            Label::DestinationServiceName => self.destination.name,
            Label::DestinationServiceNamespace => self.service_namespace(),
            Label::SourcePrincipal => self.source_principal(),
            Label::DestinationPrincipal => self.destination_principal(),
            Label::SourceWorkloadNamespace => self.source_namespace(),
            Label::DestinationWorkloadNamespace => self.destination_namespace(),
            _ => self.workload(label),
        }
    }

    /// The labels that are plainly a property of the source's or the destination's workload.
    fn workload(&self, label: Label) -> &'a [u8] {
        let (source, field) = match label {
            Label::SourceWorkload => (true, Field::Workload),
            Label::SourceCanonicalService => (true, Field::Service),
            Label::SourceCanonicalRevision => (true, Field::Revision),
            Label::SourceApp => (true, Field::App),
            Label::SourceVersion => (true, Field::Version),
            Label::SourceCluster => (true, Field::Cluster),
            Label::DestinationWorkload => (false, Field::Workload),
            Label::DestinationCanonicalService => (false, Field::Service),
            Label::DestinationCanonicalRevision => (false, Field::Revision),
            Label::DestinationApp => (false, Field::App),
            Label::DestinationVersion => (false, Field::Version),
            Label::DestinationCluster => (false, Field::Cluster),
            _ => return b"",
        };
        match (self.reporter, source) {
            (Reporter::Source, true) | (Reporter::Destination, false) => self.local.get(field),
            (_, true) => self.downstream.get(field),
            (_, false) => self.upstream.get(field),
        }
    }

    fn missing(&self, label: Label) -> &'a [u8] {
        match (self.reporter, label) {
            (Reporter::Destination, Label::DestinationService | Label::DestinationServiceName) => {
                &self.local.canonical_service
            }
            (Reporter::Waypoint, Label::DestinationCanonicalRevision) => UNKNOWN,
            _ => label.fallback(),
        }
    }

    fn protocol(&self) -> &'a [u8] {
        match (self.tcp, self.is_grpc()) {
            (true, _) => b"tcp",
            (false, true) => b"grpc",
            (false, false) => b"http",
        }
    }

    /// By the content type as received; where only the one at the end is known, by that.
    fn is_grpc(&self) -> bool {
        self.grpc.unwrap_or_else(|| is_grpc(self.facts.bytes(Fact::ContentType)))
    }

    fn source_principal(&self) -> &'a [u8] {
        match self.reporter {
            Reporter::Source => self.facts.bytes(Fact::UpstreamLocalSan),
            Reporter::Destination | Reporter::Waypoint => self.principals().peer,
        }
    }

    fn destination_principal(&self) -> &'a [u8] {
        let identity = self.upstream.get(Field::Identity);
        match self.reporter {
            Reporter::Source => or(self.facts.bytes(Fact::UpstreamPeerSan), identity),
            Reporter::Destination => self.principals().local,
            Reporter::Waypoint => identity,
        }
    }

    /// The identities of the connection from the client. The proxy's own knowledge counts before the certificates of a
    /// connection that may end at a tunnel.
    fn principals(&self) -> Principals<'a> {
        let told = Principals {
            local: self.facts.bytes(Fact::LocalPrincipal),
            peer: self.facts.bytes(Fact::PeerPrincipal),
        };
        if told.local.is_empty() && told.peer.is_empty() {
            Principals {
                local: self.facts.bytes(Fact::DownstreamLocalSan),
                peer: self.facts.bytes(Fact::DownstreamPeerSan),
            }
        } else {
            told
        }
    }

    /// A certificate is proof, a header is not: the namespace in the principal comes first.
    fn source_namespace(&self) -> &'a [u8] {
        match self.reporter {
            Reporter::Source => &self.local.namespace,
            Reporter::Destination | Reporter::Waypoint => {
                or(spiffe::namespace(self.principals().peer), self.downstream.get(Field::Namespace))
            }
        }
    }

    fn destination_namespace(&self) -> &'a [u8] {
        let told = self.upstream.get(Field::Namespace);
        match self.reporter {
            Reporter::Source => {
                or(spiffe::namespace(self.facts.bytes(Fact::UpstreamPeerSan)), told)
            }
            Reporter::Destination => &self.local.namespace,
            Reporter::Waypoint => told,
        }
    }

    fn service_namespace(&self) -> &'a [u8] {
        match self.reporter {
            Reporter::Source => or(self.destination.namespace, self.upstream.get(Field::Namespace)),
            Reporter::Destination => &self.local.namespace,
            Reporter::Waypoint => self.destination.namespace,
        }
    }

    /// Mutual TLS is what the server's side saw: both sides have an identity.
    fn security_policy(&self) -> &'a [u8] {
        if self.reporter == Reporter::Source {
            return UNKNOWN;
        }
        let Principals { local, peer } = self.principals();
        if local.is_empty() || peer.is_empty() { b"none" } else { b"mutual_tls" }
    }
}

/// Whether a content type is gRPC's: exactly `application/grpc`, or `application/grpc+` and a message format (Envoy
/// `Grpc::Common::hasGrpcContentType`).
pub fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => rest.first().is_none_or(|next| *next == b'+'),
        None => false,
    }
}

/// The identities of both ends of the connection from the client; empty when not known.
#[derive(Clone, Copy, Debug)]
struct Principals<'a> {
    local: &'a [u8],
    peer: &'a [u8],
}

//! Which facts a plan's metrics are made of.

use super::reads::{Reads, Side};
use super::{Group, Source};
use crate::attribute::Fact;
use crate::metric::Label;
use crate::metric::standard::{Measure, Occasion, Quantity};

/// The facts of the groups recorded on `occasions`, whoever reports; in no order, some more than once.
pub(super) fn needs(groups: &[Group], reads: &Reads, occasions: &[Occasion]) -> Vec<Fact> {
    let mut needs: Vec<Fact> = Vec::new();
    for group in groups.iter().filter(|group| occasions.contains(&group.occasion)) {
        for (_, source) in &group.labels {
            of_source(source, &mut needs);
        }
        for metric in &group.metrics {
            needs.extend(of_measure(metric.measure));
        }
    }
    for side in [Side::Downstream, Side::Upstream] {
        if reads.reads_peer(side) {
            needs.extend_from_slice(of_peer(side));
        }
    }
    if !needs.is_empty() {
        needs.push(Fact::ListenerDirection);
    }
    needs
}

fn of_source(source: &Source, needs: &mut Vec<Fact>) {
    match source {
        Source::Nothing | Source::Expression(_) => {}
        Source::Standard(label) => needs.extend_from_slice(of_label(*label)),
        Source::When(_, sources) => {
            of_source(&sources.0, needs);
            of_source(&sources.1, needs);
        }
    }
}

fn of_measure(measure: Measure) -> Option<Fact> {
    match measure {
        Measure::Milliseconds => Some(Fact::Duration),
        Measure::Bytes(fact) => Some(fact),
        Measure::Growth(quantity) => of_quantity(quantity),
        Measure::One | Measure::Expression(_) => None,
    }
}

/// The fact that tells how much there is of a quantity.
pub(super) fn of_quantity(quantity: Quantity) -> Option<Fact> {
    match quantity {
        Quantity::RequestMessages | Quantity::ResponseMessages => Some(Fact::GrpcMessages),
        Quantity::SentBytes => Some(Fact::ResponseBytes),
        Quantity::ReceivedBytes => Some(Fact::RequestBytes),
        Quantity::Opened | Quantity::Closed => None,
    }
}

const DOWNSTREAM: &[Fact] = &[Fact::DownstreamPeer];
const UPSTREAM: &[Fact] = &[Fact::UpstreamPeer, Fact::EndpointWorkload];
const PRINCIPALS: &[Fact] =
    &[Fact::PeerPrincipal, Fact::LocalPrincipal, Fact::DownstreamPeerSan, Fact::DownstreamLocalSan];

fn of_peer(side: Side) -> &'static [Fact] {
    match side {
        Side::Downstream => DOWNSTREAM,
        Side::Upstream => UPSTREAM,
    }
}

fn of_label(label: Label) -> &'static [Fact] {
    match label {
        Label::Reporter => &[],
        Label::SourceWorkload
        | Label::SourceCanonicalService
        | Label::SourceCanonicalRevision
        | Label::SourceApp
        | Label::SourceVersion
        | Label::SourceCluster => DOWNSTREAM,
        Label::SourceWorkloadNamespace => &[
            Fact::DownstreamPeer,
            Fact::PeerPrincipal,
            Fact::LocalPrincipal,
            Fact::DownstreamPeerSan,
            Fact::DownstreamLocalSan,
        ],
        Label::SourcePrincipal => &[
            Fact::UpstreamLocalSan,
            Fact::PeerPrincipal,
            Fact::LocalPrincipal,
            Fact::DownstreamPeerSan,
        ],
        Label::DestinationWorkload
        | Label::DestinationCanonicalService
        | Label::DestinationCanonicalRevision
        | Label::DestinationApp
        | Label::DestinationVersion
        | Label::DestinationCluster => UPSTREAM,
        Label::DestinationWorkloadNamespace => {
            &[Fact::UpstreamPeerSan, Fact::UpstreamPeer, Fact::EndpointWorkload]
        }
        Label::DestinationPrincipal => &[
            Fact::UpstreamPeerSan,
            Fact::UpstreamPeer,
            Fact::EndpointWorkload,
            Fact::PeerPrincipal,
            Fact::LocalPrincipal,
            Fact::DownstreamLocalSan,
        ],
        Label::DestinationService | Label::DestinationServiceName => {
            &[Fact::Host, Fact::RouteName, Fact::ClusterName, Fact::ClusterService]
        }
        Label::DestinationServiceNamespace => &[
            Fact::RouteName,
            Fact::ClusterName,
            Fact::ClusterService,
            Fact::UpstreamPeer,
            Fact::EndpointWorkload,
        ],
        Label::RequestProtocol => &[Fact::ContentType],
        Label::ResponseCode => &[Fact::ResponseCode],
        Label::GrpcResponseStatus => &[Fact::ContentType, Fact::GrpcStatus],
        Label::ResponseFlags => &[Fact::ResponseFlags],
        Label::ConnectionSecurityPolicy => PRINCIPALS,
    }
}

/// Facts that only requests have: to ask for them on a connection could fail the whole list.
pub(super) fn is_of_request(fact: Fact) -> bool {
    matches!(
        fact,
        Fact::Host
            | Fact::Method
            | Fact::Path
            | Fact::ContentType
            | Fact::ResponseCode
            | Fact::GrpcStatus
            | Fact::RouteName
            | Fact::Duration
            | Fact::GrpcMessages
    )
}

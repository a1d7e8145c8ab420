//! What a plan's metrics and attributes are made of.

use super::reads::Reads;
use super::{Gate, Group, Source};
use crate::attribute::Fact;
use crate::expr::{Bound, Side, Slot};
use crate::metric::Label;
use crate::metric::standard::{Measure, Occasion, Quantity};

/// What is fetched and evaluated together.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Facts, in no order, some more than once.
    pub facts: Vec<Fact>,
    /// What expressions read beyond facts, in no order, some more than once.
    pub slots: Vec<Slot>,
    /// Everything expressions read, in no order, some more than once.
    pub reads: Vec<Slot>,
    /// Expressions of the plan, each once.
    pub expressions: Vec<usize>,
    /// Conditions of the plan, each once.
    pub conditions: Vec<usize>,
}

/// What the needs of metrics are found in.
pub(super) struct Compiled<'p> {
    pub groups: &'p [Group],
    pub expressions: &'p [Bound],
    pub conditions: &'p [Bound],
    pub reads: &'p Reads,
}

// === impl Needs ===

impl Needs {
    /// Adds what an expression reads.
    pub fn expression(&mut self, bound: &Bound, reads: &Reads) {
        self.reads.extend_from_slice(bound.reads());
        reads.need(bound.reads(), self);
    }

    /// The needs of a connection, which has no headers: to ask for them could fail the whole list.
    pub fn of_connection(mut self, reads: &Reads) -> Self {
        self.facts.retain(|fact| !is_of_request(*fact));
        self.slots.retain(|slot| !reads.fetch(*slot).is_some_and(|fetch| fetch.is_of_request()));
        self
    }
}

// === impl Compiled ===

impl Compiled<'_> {
    /// The needs of the groups recorded on `occasions`, whoever reports.
    pub fn needs(&self, occasions: &[Occasion]) -> Needs {
        let mut needs = Needs::default();
        for group in self.groups.iter().filter(|group| occasions.contains(&group.occasion)) {
            for (_, source) in &group.labels {
                self.source(source, &mut needs);
            }
            for metric in &group.metrics {
                self.measure(metric.measure, &mut needs);
                metric.unless.iter().for_each(|gate| self.gate(*gate, &mut needs));
            }
            needs.facts.push(Fact::ListenerDirection);
        }
        needs
    }

    fn source(&self, source: &Source, needs: &mut Needs) {
        match source {
            Source::Nothing => {}
            Source::Standard(label) => needs.facts.extend_from_slice(of_label(*label)),
            Source::Expression(index) => self.expression(*index, needs),
            Source::When(gate, sources) => {
                self.gate(*gate, needs);
                self.source(&sources.0, needs);
                self.source(&sources.1, needs);
            }
        }
    }

    fn measure(&self, measure: Measure, needs: &mut Needs) {
        match measure {
            Measure::Milliseconds => needs.facts.push(Fact::Duration),
            Measure::Bytes(fact) => needs.facts.push(fact),
            Measure::Growth(quantity) => needs.facts.extend(of_quantity(quantity)),
            Measure::Expression(index) => self.expression(index, needs),
            Measure::One => {}
        }
    }

    fn expression(&self, index: usize, needs: &mut Needs) {
        if needs.expressions.contains(&index) {
            return;
        }
        needs.expressions.push(index);
        if let Some(bound) = self.expressions.get(index) {
            needs.expression(bound, self.reads);
        }
    }

    /// The reporter is known of every stream; only conditions need anything.
    fn gate(&self, gate: Gate, needs: &mut Needs) {
        let Gate::Condition(index) = gate else { return };
        if needs.conditions.contains(&index) {
            return;
        }
        needs.conditions.push(index);
        if let Some(bound) = self.conditions.get(index) {
            needs.expression(bound, self.reads);
        }
    }
}

/// The fact that tells how much there is of a quantity.
fn of_quantity(quantity: Quantity) -> Option<Fact> {
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

/// What tells who a peer is.
pub(super) fn of_peer(side: Side) -> &'static [Fact] {
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

/// Facts that only requests have.
fn is_of_request(fact: Fact) -> bool {
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

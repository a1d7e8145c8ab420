//! What a plan's metrics and attributes are made of.

use super::reads::Reads;
use super::{Gate, Group, Source};
use crate::attribute::Fact;
use crate::expr::{Bound, Side, Slot};
use crate::metric::standard::{Measure, Occasion, Quantity};
use crate::metric::{Label, Reporter};

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
    pub expressions: Vec<Use>,
    /// Conditions of the plan, each once.
    pub conditions: Vec<usize>,
}

/// An expression of the plan, and who uses it: others may not even have what it reads.
#[derive(Debug)]
pub(crate) struct Use {
    pub index: usize,
    /// Whether proxies do that report as the source.
    pub client: bool,
    /// Whether all others do.
    pub server: bool,
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
    /// The needs of the groups recorded on `occasions` by any of `reporters`.
    pub fn needs(&self, occasions: &[Occasion], reporters: &[Reporter]) -> Needs {
        let mut needs = Needs::default();
        for group in self.groups.iter().filter(|group| occasions.contains(&group.occasion)) {
            for (_, source) in &group.labels {
                self.source(source, reporters, &mut needs);
            }
            for metric in &group.metrics {
                self.measure(metric.measure, reporters, &mut needs);
                metric.unless.iter().for_each(|gate| self.gate(*gate, &mut needs));
            }
            needs.facts.push(Fact::ListenerDirection);
        }
        needs
    }

    fn source(&self, source: &Source, reporters: &[Reporter], needs: &mut Needs) {
        match source {
            Source::Nothing => {}
            Source::Standard(label) => {
                let facts = reporters.iter().flat_map(|reporter| of_label(*label, *reporter));
                facts.for_each(|facts| needs.facts.extend_from_slice(facts));
            }
            Source::Expression(index) => self.expression(*index, reporters, needs),
            Source::When(gate, sources) => {
                self.gate(*gate, needs);
                for (source, open) in [(&sources.0, true), (&sources.1, false)] {
                    let mut concerned = reporters.to_vec();
                    concerned.retain(|reporter| gate.of_reporter(*reporter) != Some(!open));
                    if !concerned.is_empty() {
                        self.source(source, &concerned, needs);
                    }
                }
            }
        }
    }

    fn measure(&self, measure: Measure, reporters: &[Reporter], needs: &mut Needs) {
        match measure {
            Measure::Milliseconds => needs.facts.push(Fact::Duration),
            Measure::Bytes(fact) => needs.facts.push(fact),
            Measure::Growth(quantity) => needs.facts.extend(of_quantity(quantity)),
            Measure::Expression(index) => self.expression(index, reporters, needs),
            Measure::One => {}
        }
    }

    fn expression(&self, index: usize, reporters: &[Reporter], needs: &mut Needs) {
        let client = reporters.contains(&Reporter::Source);
        let server = reporters.iter().any(|reporter| *reporter != Reporter::Source);
        if let Some(known) = needs.expressions.iter_mut().find(|known| known.index == index) {
            known.client |= client;
            known.server |= server;
            return;
        }
        needs.expressions.push(Use { index, client, server });
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

/// What a label is made of, from a reporter's point of view; see [`crate::metric::Labels`].
fn of_label(label: Label, reporter: Reporter) -> &'static [&'static [Fact]] {
    let (source, destination) = match reporter {
        Reporter::Source => (false, true),
        Reporter::Destination => (true, false),
        Reporter::Waypoint => (true, true),
    };
    match label {
        Label::SourceWorkload
        | Label::SourceCanonicalService
        | Label::SourceCanonicalRevision
        | Label::SourceApp
        | Label::SourceVersion
        | Label::SourceCluster
            if source =>
        {
            &[DOWNSTREAM]
        }
        Label::SourceWorkloadNamespace if source => &[DOWNSTREAM, PRINCIPALS],
        Label::SourcePrincipal if source => &[PRINCIPALS],
        Label::SourcePrincipal => &[&[Fact::UpstreamLocalSan]],
        Label::DestinationWorkload
        | Label::DestinationCanonicalService
        | Label::DestinationCanonicalRevision
        | Label::DestinationApp
        | Label::DestinationVersion
        | Label::DestinationCluster
            if destination =>
        {
            &[UPSTREAM]
        }
        Label::DestinationWorkloadNamespace | Label::DestinationPrincipal if destination => {
            &[&[Fact::UpstreamPeerSan], UPSTREAM]
        }
        Label::DestinationPrincipal => &[PRINCIPALS],
        Label::DestinationService | Label::DestinationServiceName => SERVICE,
        Label::DestinationServiceNamespace if destination => {
            &[&[Fact::RouteName, Fact::ClusterName, Fact::ClusterService], UPSTREAM]
        }
        Label::RequestProtocol => &[&[Fact::ContentType]],
        Label::ResponseCode => &[&[Fact::ResponseCode]],
        Label::GrpcResponseStatus => &[&[Fact::ContentType, Fact::GrpcStatus]],
        Label::ResponseFlags => &[&[Fact::ResponseFlags]],
        Label::ConnectionSecurityPolicy if source => &[PRINCIPALS],
        _ => &[],
    }
}

const SERVICE: &[&[Fact]] =
    &[&[Fact::Host, Fact::RouteName, Fact::ClusterName, Fact::ClusterService]];

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

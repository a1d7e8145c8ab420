//! One stream as labels and measures see it.

use super::scratch::Scratch;
use super::stream::{Exchanged, Kind, Quantities, Stream};
use crate::attribute::{Fact, Facts};
use crate::expr;
use crate::mesh::{Destination, PeerView, UNKNOWN, or};
use crate::metric::standard::Measure;
use crate::metric::text::canonical;
use crate::metric::{Labels, Reporter, Value};
use crate::plan::{Gate, Group, MetricPlan, Plan, Source};

/// All that is known when a stream is reported.
pub(super) struct View<'a> {
    pub labels: Labels<'a>,
    scratch: &'a Scratch,
}

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Whose point of view a stream's labels take.
pub(super) fn reporter(plan: &Plan, facts: &Facts<'_>) -> Reporter {
    match plan.waypoint {
        true => Reporter::Waypoint,
        false => Reporter::of_direction(facts.int(Fact::ListenerDirection)),
    }
}

/// The client: as exchanged, else as the proxy knows it.
pub(super) fn downstream<'a>(stream: &'a Stream, facts: &Facts<'a>) -> PeerView<'a> {
    let exchanged = stream.exchange.as_ref().and_then(Exchanged::downstream_view);
    exchanged.unwrap_or_else(|| PeerView::filter_state(facts.bytes(Fact::DownstreamPeer)))
}

/// The upstream: as exchanged, else as the proxy knows it, else as its endpoint is described.
pub(super) fn upstream<'a>(stream: &'a Stream, facts: &Facts<'a>) -> PeerView<'a> {
    let exchanged = stream.exchange.as_ref().and_then(Exchanged::upstream_view);
    exchanged.unwrap_or_else(|| {
        PeerView::filter_state(facts.bytes(Fact::UpstreamPeer))
            .or(PeerView::endpoint(facts.bytes(Fact::EndpointWorkload)))
    })
}

// === impl Exchanged ===

impl Exchanged {
    fn downstream_view(&self) -> Option<PeerView<'_>> {
        self.downstream.as_deref().map(PeerView::Exchanged)
    }

    fn upstream_view(&self) -> Option<PeerView<'_>> {
        self.upstream.as_deref().map(PeerView::Exchanged)
    }
}

// === impl View ===

impl<'a> View<'a> {
    pub fn new(
        plan: &'a Plan,
        stream: &'a Stream,
        scratch: &'a Scratch,
        facts: &'a Facts<'a>,
    ) -> Self {
        let tcp = stream.kind == Kind::Connection;
        let labels = Labels {
            reporter: reporter(plan, facts),
            local: &plan.local,
            downstream: downstream(stream, facts),
            upstream: upstream(stream, facts),
            destination: Destination::resolve(facts, plan.no_host_fallback),
            facts,
            tcp,
            grpc: stream.grpc,
            grpc_status: stream.grpc_status,
        };
        Self { labels, scratch }
    }

    #[inline(never)]
    pub fn value(&self, source: &Source) -> Value<'a> {
        match source {
            Source::Nothing => Value::Absent,
            Source::When(gate, sources) => {
                self.value(if self.is_open(*gate) { &sources.0 } else { &sources.1 })
            }
            Source::Standard(label) => self.labels.value(*label),
            Source::Expression(index) => {
                let value = self.scratch.value(*index).unwrap_or_default();
                Value::Text(or(canonical(value), UNKNOWN))
            }
        }
    }

    /// Whether a metric is recorded for this stream.
    pub fn records(&self, metric: &MetricPlan) -> bool {
        !metric.unless.iter().any(|gate| self.is_open(*gate))
    }

    /// Whether it is for other streams with the same reporter, as far as that tells.
    pub fn may_record(&self, metric: &MetricPlan) -> bool {
        let reporter = self.labels.reporter;
        !metric.unless.iter().any(|gate| gate.of_reporter(reporter) == Some(true))
    }

    /// Whether any metric of a group is: where none is, not even a label set is taken.
    pub fn records_any(&self, group: &Group) -> bool {
        group.metrics.iter().any(|metric| self.records(metric))
    }

    fn is_open(&self, gate: Gate) -> bool {
        match gate {
            Gate::Condition(index) => self.scratch.holds(index),
            gate => gate.of_reporter(self.labels.reporter) == Some(true),
        }
    }

    /// Whether the peer that the labels tell of is known: by metadata, or by its certificate.
    pub fn knows_peer(&self) -> bool {
        let facts = self.labels.facts;
        let proven = |fact| !facts.bytes(fact).is_empty();
        match self.labels.reporter {
            Reporter::Source => self.labels.upstream.is_known() || proven(Fact::UpstreamPeerSan),
            Reporter::Destination | Reporter::Waypoint => {
                self.labels.downstream.is_known()
                    || proven(Fact::PeerPrincipal)
                    || proven(Fact::DownstreamPeerSan)
            }
        }
    }
}

/// How much to record; `None` to record nothing.
pub(super) fn amount(measure: Measure, facts: &Facts<'_>, scratch: &Scratch) -> Option<u64> {
    match measure {
        Measure::One => Some(1),
        Measure::Milliseconds => {
            facts.int(Fact::Duration)?;
            Some(facts.count(Fact::Duration) / NANOSECONDS_PER_MILLISECOND)
        }
        Measure::Bytes(fact) => Some(facts.count(fact)),
        Measure::Growth(_) => None,
        Measure::Expression(index) => Some(expr::amount(scratch.value(index).unwrap_or_default())),
    }
}

/// How much there is by now of what grows. Messages are `requests,responses` (Envoy `grpc_stats` filter).
pub(super) fn quantities(stream: &Stream, ended: bool, facts: &Facts<'_>) -> Option<Quantities> {
    match stream.kind {
        // The messages of a bridge behind are none of the client's.
        Kind::Request if stream.grpc == Some(false) => None,
        Kind::Request => {
            let messages = facts.bytes(Fact::GrpcMessages);
            if messages.is_empty() {
                return None;
            }
            let text = std::str::from_utf8(messages).ok()?;
            let (requests, responses) = text.split_once(',')?;
            Some(Quantities {
                request_messages: requests.parse().ok()?,
                response_messages: responses.parse().ok()?,
                ..Quantities::default()
            })
        }
        Kind::Connection => Some(Quantities {
            opened: 1,
            closed: u64::from(ended),
            sent_bytes: facts.count(Fact::ResponseBytes),
            received_bytes: facts.count(Fact::RequestBytes),
            ..Quantities::default()
        }),
    }
}

//! The compiled configuration: everything joined, nothing left that can fail.

mod attribute;
mod compile;
mod exchange;
mod explain;
mod families;
mod layout;
mod needs;
mod prewarm;
mod reads;

pub(crate) use attribute::AttributePlan;
pub use compile::compile;
pub(crate) use exchange::ExchangePlan;
pub use explain::{Explained, Place, explain};
pub use families::Family;
pub(crate) use needs::{Needs, Use};
pub(crate) use prewarm::PrewarmPlan;
pub(crate) use reads::{Reads, Values};

use crate::attribute::Fact;
use crate::attribute::read::Known;
use crate::config::{Limits, Phase};
use crate::diag::Diagnostic;
use crate::expr::{Bound, Findings, PeersRead, Slot};
use crate::mesh::LocalNode;
use crate::metric::name::Encoder;
use crate::metric::standard::{Measure, Occasion};
use crate::metric::{Label, Reporter};
use crate::peer::LabelNames;
use crate::port::MetricKind;

/// What to do for each stream; immutable.
#[derive(Debug)]
pub struct Plan {
    /// The proxy's own workload.
    pub(crate) local: LocalNode,
    /// Whether the reporter is a waypoint rather than given by the listener's direction.
    pub(crate) waypoint: bool,
    /// Whether the Host header must not stand in for the destination service.
    pub(crate) no_host_fallback: bool,
    /// What attributes of the request phase are made of.
    pub(crate) early: Needs,
    /// What metrics of requests, and attributes at their end, are made of.
    pub(crate) request: Needs,
    /// The facts among them by reporter: destination, then source; or a waypoint alone.
    pub(crate) request_facts: Vec<Vec<Fact>>,
    /// What metrics of connections are made of.
    pub(crate) connection: Needs,
    /// What metrics about messages are made of: a part of those of requests.
    pub(crate) messages: Needs,
    /// What metrics about bytes and connections are made of: a part of those of connections.
    pub(crate) transfers: Needs,
    /// Where conditions of attributes of the request phase read.
    pub(crate) early_reads: Reads,
    /// Where everything else reads.
    pub(crate) reads: Reads,
    /// Names of attributes that are derived at the end of a request.
    pub(crate) late_names: Vec<usize>,
    /// Derived attributes, in the order they are evaluated.
    pub(crate) attributes: Vec<AttributePlan>,
    /// Whether the path of a request is kept as received.
    pub(crate) received_path: bool,
    /// Names of the derived attributes, each once.
    pub(crate) attribute_names: Vec<String>,
    /// Expressions of dimensions and definitions, each text once.
    pub(crate) expressions: Vec<Bound>,
    /// Conditions of entries of `metrics`.
    pub(crate) conditions: Vec<Bound>,
    /// Peers that are published because expressions of the host read them.
    pub(crate) published_peers: PeersRead,
    /// Metrics, grouped by label set and occasion.
    pub(crate) groups: Vec<Group>,
    /// Prefix of all names.
    pub(crate) prefix: String,
    /// Hash of the configuration as it was given.
    pub(crate) configuration: u64,
    /// How stat names are written.
    pub(crate) encoder: Encoder,
    /// Stat names of the build gauges.
    pub(crate) build_infos: Vec<String>,
    /// Metadata exchange; `None` leaves headers alone.
    pub(crate) exchange: Option<ExchangePlan>,
    /// Pod labels of peers that are kept.
    pub(crate) peer_labels: LabelNames,
    /// Milliseconds between reports of streams that last.
    pub(crate) reporting_interval: u32,
    /// What bounds series and labels.
    pub(crate) limits: Limits,
    /// Series that are defined before they are counted; `None` for none.
    pub(crate) prewarm: Option<PrewarmPlan>,
}

/// Metrics with the same labels, recorded together: one lookup serves them all.
#[derive(Debug)]
pub(crate) struct Group {
    /// When they are recorded.
    pub occasion: Occasion,
    /// Labels in the order they are written.
    pub labels: Vec<(String, Source)>,
    /// The metrics.
    pub metrics: Vec<MetricPlan>,
}

/// Where a label's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The label is not written.
    Nothing,
    /// A standard label.
    Standard(Label),
    /// An expression of the plan; `unknown` when it has no value.
    Expression(usize),
    /// One or the other, as a gate is open or not.
    When(Gate, Box<(Source, Source)>),
}

/// A metric to record.
#[derive(Debug)]
pub(crate) struct MetricPlan {
    /// Name with the prefix.
    pub name: String,
    /// Kind.
    pub kind: MetricKind,
    /// What is recorded.
    pub measure: Measure,
    /// Gates of which none may be open for anything to be recorded.
    pub unless: Vec<Gate>,
}

/// Which streams a part of the plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Those reported as their source.
    Client,
    /// All others.
    Server,
    /// Those for which a condition of the plan holds.
    Condition(usize),
}

// === impl Gate ===

impl Gate {
    /// Whether it is open, as far as the reporter tells.
    pub(crate) fn of_reporter(self, reporter: Reporter) -> Option<bool> {
        let client = reporter == Reporter::Source;
        match self {
            Gate::Client => Some(client),
            Gate::Server => Some(!client),
            Gate::Condition(_) => None,
        }
    }
}

// === impl Source ===

impl Source {
    /// The standard label it is made from, and nothing else; `None` for a value of the configuration's own.
    pub(crate) fn label(&self) -> Option<Label> {
        match self {
            Source::Standard(label) => Some(*label),
            Source::Nothing | Source::Expression(_) => None,
            Source::When(_, sources) => match &**sources {
                (Source::Nothing, other) | (other, Source::Nothing) => other.label(),
                (one, other) => one.label().filter(|label| other.label() == Some(*label)),
            },
        }
    }
}

// === impl Plan ===

impl Plan {
    /// Whether anything is derived when the request headers arrive.
    pub(crate) fn derives_on_request(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.phase == Phase::OnRequest)
    }

    /// Whether labels or metrics of requests depend on the content type.
    pub(crate) fn reads_content_type(&self) -> bool {
        self.request.facts.contains(&Fact::ContentType) || self.records(Occasion::Messages)
    }

    /// Whether metrics are recorded on an occasion.
    pub(crate) fn records(&self, occasion: Occasion) -> bool {
        self.groups.iter().any(|group| group.occasion == occasion)
    }

    /// Whether metrics recorded on an occasion can be reported while a stream lasts: from a timer nothing can be had that
    /// the host evaluates, nor what comes with headers or at the end; and a stream keeps its labels.
    pub(crate) fn reports_early(&self, occasion: Occasion) -> bool {
        let Some(needs) = self.lasting(occasion) else { return false };
        let of_host = |all: &[Bound], index| all.get(index).is_some_and(Bound::is_of_host);
        let late = |slot| self.known(slot, occasion) == Known::AtEnd;
        self.records(occasion)
            && !needs.expressions.iter().any(|used| of_host(&self.expressions, used.index))
            && !needs.conditions.iter().any(|index| of_host(&self.conditions, *index))
            && !needs.reads.iter().any(|slot| late(*slot))
    }

    /// When what an expression reads is known of a stream; nothing is derived of a connection.
    pub(crate) fn known(&self, slot: Slot, occasion: Occasion) -> Known {
        let late = if occasion == Occasion::Connection { &[] } else { self.late_names.as_slice() };
        self.reads.known(slot, late)
    }

    /// What metrics that are reported while a stream lasts are made of.
    pub(crate) fn lasting(&self, occasion: Occasion) -> Option<&Needs> {
        match occasion {
            Occasion::Messages => Some(&self.messages),
            Occasion::Connection => Some(&self.transfers),
            Occasion::Request | Occasion::End => None,
        }
    }

    /// Whether metrics that are reported while a request lasts may name its host as the service.
    pub(crate) fn reports_host_early(&self) -> bool {
        !self.no_host_fallback
            && self.messages.facts.contains(&Fact::Host)
            && self.reports_early(Occasion::Messages)
    }

    /// Everything that is fetched of streams.
    pub(crate) fn all_facts(&self) -> Vec<Fact> {
        let of_metrics = [&self.early, &self.request].map(|needs| needs.facts.as_slice());
        let of_exchange: &[Fact] =
            if self.exchange.is_some() { ExchangePlan::OF_CLUSTER } else { &[] };
        [&of_metrics[..], &[of_exchange]].concat().concat()
    }

    /// How often streams that last are reported, in milliseconds; 0 for never.
    pub fn reporting_interval(&self) -> u32 {
        let lasting =
            self.reports_early(Occasion::Messages) || self.reports_early(Occasion::Connection);
        if lasting { self.reporting_interval } else { 0 }
    }
}

/// Tells findings about an expression, and what becomes of the configuration without it; nothing when `what` is empty.
fn left_out(path: &str, findings: Findings, what: &str, warnings: &mut Vec<Diagnostic>) {
    for mut finding in findings {
        if !what.is_empty() {
            finding.push_str("; ");
            finding.push_str(what);
        }
        warnings.push(Diagnostic::warning(path, finding));
    }
}

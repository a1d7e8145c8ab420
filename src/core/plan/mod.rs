//! The compiled configuration: everything joined, nothing left that can fail.

mod attribute;
mod compile;
mod exchange;
mod layout;
mod needs;
mod prewarm;

pub(crate) use attribute::AttributePlan;
pub use compile::compile;
pub(crate) use exchange::ExchangePlan;
pub(crate) use prewarm::PrewarmPlan;

use crate::attribute::Fact;
use crate::config::{Limits, Phase};
use crate::diag::Diagnostic;
use crate::expr::{PeersRead, Program};
use crate::mesh::LocalNode;
use crate::metric::Label;
use crate::metric::name::Encoder;
use crate::metric::standard::{Measure, Occasion};
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
    /// Facts that attributes of the request phase are made of.
    pub(crate) early_facts: Vec<Fact>,
    /// Facts that metrics of requests, and attributes at their end, are made of.
    pub(crate) request_facts: Vec<Fact>,
    /// Facts that metrics of connections are made of.
    pub(crate) connection_facts: Vec<Fact>,
    /// Facts that metrics about messages are made of, of which those of requests are more.
    pub(crate) message_facts: Vec<Fact>,
    /// Derived attributes, in the order they are evaluated.
    pub(crate) attributes: Vec<AttributePlan>,
    /// Names of the derived attributes, each once.
    pub(crate) attribute_names: Vec<String>,
    /// Expressions of dimensions and definitions, each text once.
    pub(crate) expressions: Vec<Program>,
    /// Conditions of entries of `metrics`.
    pub(crate) conditions: Vec<Program>,
    /// Peers that are published because expressions of the host read them.
    pub(crate) published_peers: PeersRead,
    /// Metrics, grouped by label set and occasion.
    pub(crate) groups: Vec<Group>,
    /// How stat names are written.
    pub(crate) encoder: Encoder,
    /// Stat name of the build gauge; `None` without standard metrics.
    pub(crate) build_info: Option<String>,
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
    /// One or the other, as a condition of the plan holds or not.
    When(usize, Box<(Source, Source)>),
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
    /// Conditions of the plan under any of which nothing is recorded.
    pub unless: Vec<usize>,
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

    /// Whether metrics are recorded on an occasion.
    pub(crate) fn records(&self, occasion: Occasion) -> bool {
        self.groups.iter().any(|group| group.occasion == occasion)
    }

    /// Whether metrics recorded on an occasion can be reported while a stream lasts: from a timer no label can be had that
    /// the host evaluates, and a stream keeps its labels.
    pub(crate) fn reports_early(&self, occasion: Occasion) -> bool {
        let mut groups = self.groups.iter().filter(|group| group.occasion == occasion).peekable();
        groups.peek().is_some()
            && groups.all(|group| {
                group.metrics.iter().all(|metric| metric.unless.is_empty())
                    && group.labels.iter().all(|(_, source)| self.is_without_host(source))
            })
    }

    fn is_without_host(&self, source: &Source) -> bool {
        match source {
            Source::Nothing | Source::Standard(_) => true,
            Source::Expression(index) => {
                !self.expressions.get(*index).is_some_and(Program::is_of_host)
            }
            Source::When(..) => false,
        }
    }

    /// Whether metrics that are reported while a request lasts may name its host as the service.
    pub(crate) fn reports_host_early(&self) -> bool {
        !self.no_host_fallback
            && self.message_facts.contains(&Fact::Host)
            && self.reports_early(Occasion::Messages)
    }

    /// How often streams that last are reported, in milliseconds; 0 for never.
    pub fn reporting_interval(&self) -> u32 {
        let lasting =
            self.reports_early(Occasion::Messages) || self.reports_early(Occasion::Connection);
        if lasting { self.reporting_interval } else { 0 }
    }
}

/// A problem of an expression, and what becomes of the configuration without it.
fn left_out(path: String, problem: &str, what: &str) -> Diagnostic {
    Diagnostic::warning(path, format!("{problem}; {what}"))
}

//! The compiled configuration: everything joined, nothing left that can fail.

mod attribute;
mod compile;
mod exchange;
mod layout;
mod needs;
pub(crate) mod reads;

pub(crate) use attribute::AttributePlan;
pub use compile::compile;
pub(crate) use exchange::ExchangePlan;

use crate::attribute::Fact;
use crate::config::Phase;
use crate::diag::Diagnostic;
use crate::expr::{Bound, Findings};
use crate::mesh::LocalNode;
use crate::metric::Label;
use crate::metric::name::Encoder;
use crate::metric::standard::{Measure, Occasion};
use crate::peer::LabelNames;
use crate::port::MetricKind;
use reads::Reads;

/// What to do for each stream; immutable.
#[derive(Debug)]
pub struct Plan {
    /// The proxy's own workload.
    pub(crate) local: LocalNode,
    /// Whether the reporter is a waypoint rather than given by the listener's direction.
    pub(crate) waypoint: bool,
    /// Whether the Host header must not stand in for the destination service.
    pub(crate) no_host_fallback: bool,
    /// What the end of a request needs.
    pub(crate) request: ScopePlan,
    /// What the report of a connection needs.
    pub(crate) connection: ScopePlan,
    /// What the attributes of the request phase need.
    pub(crate) early: ScopePlan,
    /// Derived attributes, in the order they are evaluated.
    pub(crate) attributes: Vec<AttributePlan>,
    /// Names of the derived attributes, each once.
    pub(crate) attribute_names: Vec<String>,
    /// Expressions of dimensions and definitions, each text once.
    pub(crate) expressions: Vec<Bound>,
    /// Conditions of entries of `metrics`.
    pub(crate) conditions: Vec<Bound>,
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
}

/// What is fetched together.
#[derive(Debug)]
pub(crate) struct ScopePlan {
    /// Facts, in no order, some more than once.
    pub facts: Vec<Fact>,
    /// What expressions read.
    pub reads: Reads,
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

    /// How often streams that last are reported, in milliseconds; 0 for never.
    pub fn reporting_interval(&self) -> u32 {
        let lasting = self.records(Occasion::Messages) || self.records(Occasion::Connection);
        if lasting { self.reporting_interval } else { 0 }
    }
}

/// Problems of an expression, and what becomes of the configuration without it.
fn left_out(path: &str, problems: Findings, what: &str) -> Vec<Diagnostic> {
    let told = |problem| Diagnostic::warning(path, format!("{what}: {problem}"));
    problems.into_iter().map(told).collect()
}

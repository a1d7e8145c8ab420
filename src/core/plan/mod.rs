//! The compiled configuration: everything joined, nothing left that can fail.

mod compile;
mod layout;

pub use compile::compile;

use crate::attribute::Query;
use crate::config::Phase;
use crate::expr::Program;
use crate::mesh::LocalNode;
use crate::metric::Label;
use crate::metric::name::Encoder;
use crate::metric::standard::Measure;
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
    /// Facts that labels and values are made of.
    pub(crate) query: Query,
    /// Derived attributes, in the order they are evaluated.
    pub(crate) attributes: Vec<AttributePlan>,
    /// Names of the derived attributes, each once.
    pub(crate) attribute_names: Vec<String>,
    /// Expressions of dimensions and definitions, each text once.
    pub(crate) expressions: Vec<Program>,
    /// Metrics, grouped by label set.
    pub(crate) groups: Vec<Group>,
    /// How stat names are written.
    pub(crate) encoder: Encoder,
    /// Stat name of the build gauge; `None` without standard metrics.
    pub(crate) build_info: Option<String>,
}

/// A derived attribute.
#[derive(Debug)]
pub(crate) struct AttributePlan {
    /// Index into [`Plan::attribute_names`].
    pub name: usize,
    /// When it is evaluated.
    pub phase: Phase,
    /// Condition (`None`: always true) and value; the first that holds wins.
    pub entries: Vec<(Option<Program>, Vec<u8>)>,
}

/// Metrics with the same labels: one lookup serves them all.
#[derive(Debug)]
pub(crate) struct Group {
    /// Labels in the order they are written.
    pub labels: Vec<(String, Source)>,
    /// The metrics.
    pub metrics: Vec<MetricPlan>,
}

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A standard label.
    Standard(Label),
    /// An expression of the plan; `unknown` when it has no value.
    Expression(usize),
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
}

// === impl Plan ===

impl Plan {
    /// Whether anything has to be done when the request headers arrive.
    pub fn needs_request_phase(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.phase == Phase::OnRequest)
    }
}

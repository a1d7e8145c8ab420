//! The compiled configuration: everything joined, nothing left that can fail.

mod compile;
mod exchange;
mod layout;
mod needs;

pub use compile::compile;
pub(crate) use exchange::ExchangePlan;

use crate::attribute::Fact;
use crate::config::Phase;
use crate::expr::Program;
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
    /// Facts that metrics of requests are made of.
    pub(crate) request_facts: Vec<Fact>,
    /// Facts that metrics of connections are made of.
    pub(crate) connection_facts: Vec<Fact>,
    /// Derived attributes, in the order they are evaluated.
    pub(crate) attributes: Vec<AttributePlan>,
    /// Names of the derived attributes, each once.
    pub(crate) attribute_names: Vec<String>,
    /// Expressions of dimensions and definitions, each text once.
    pub(crate) expressions: Vec<Program>,
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
    /// Whether anything is derived when the request headers arrive.
    pub(crate) fn derives_on_request(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.phase == Phase::OnRequest)
    }

    /// Whether metrics are recorded on an occasion.
    pub(crate) fn records(&self, occasion: Occasion) -> bool {
        self.groups.iter().any(|group| group.occasion == occasion)
    }

    /// Whether the labels of an occasion's metrics are known without the host's expressions.
    pub(crate) fn labels_without_host(&self, occasion: Occasion) -> bool {
        let groups = self.groups.iter().filter(|group| group.occasion == occasion);
        let mut sources = groups.flat_map(|group| group.labels.iter().map(|(_, source)| source));
        !sources.any(|source| match source {
            Source::Standard(_) => false,
            Source::Expression(index) => {
                self.expressions.get(*index).is_some_and(Program::is_on_host)
            }
        })
    }

    /// How often streams that last are reported, in milliseconds; 0 for never.
    pub fn reporting_interval(&self) -> u32 {
        let lasting = self.records(Occasion::Messages) || self.records(Occasion::Connection);
        if lasting { self.reporting_interval } else { 0 }
    }
}

//! What a plan emits, for those who look at configurations rather than at streams.

use super::{Plan, Source};
use crate::metric::standard::Occasion;
use crate::port::MetricKind;

/// A metric and the labels it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family<'p> {
    /// Name with its prefix, as in Prometheus.
    pub name: &'p str,
    /// Metrics of one group have one label set for all of them.
    pub group: usize,
    /// Kind.
    pub kind: MetricKind,
    /// When it is recorded.
    pub occasion: Occasion,
    /// Names of the labels, in the order they are written.
    pub labels: Vec<&'p str>,
}

// === impl Plan ===

impl Plan {
    /// Every metric that may be emitted, but for those about the module itself and `istio_build`.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        self.groups.iter().enumerate().flat_map(|(number, group)| {
            let labels = group.labels.iter().filter(|(_, source)| *source != Source::Nothing);
            let labels: Vec<&str> = labels.map(|(name, _)| name.as_str()).collect();
            group.metrics.iter().map(move |metric| Family {
                name: &metric.name,
                group: number,
                kind: metric.kind,
                occasion: group.occasion,
                labels: labels.clone(),
            })
        })
    }
}

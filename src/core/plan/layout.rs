//! Labels per metric: the standard set, changed entry by entry (Istio stats `PluginConfig.metrics`).

use super::{Group, MetricPlan, Source};
use crate::metric::label::Label;
use crate::metric::standard::HTTP_LABELS;

/// The labels of one metric while the configuration is applied to it.
#[derive(Debug)]
pub(super) struct Layout {
    pub metric: MetricPlan,
    /// Name in the configuration, without the prefix.
    pub name: String,
    /// The standard labels at their places; `None` is removed. Empty for a custom metric.
    standard: Vec<(Label, Option<Source>)>,
    /// Further labels, each name once.
    added: Vec<(String, Source)>,
}

// === impl Layout ===

impl Layout {
    pub fn standard(name: &str, metric: MetricPlan) -> Self {
        let standard =
            HTTP_LABELS.iter().map(|label| (*label, Some(Source::Standard(*label)))).collect();
        Self { metric, name: name.to_owned(), standard, added: Vec::new() }
    }

    pub fn custom(name: &str, metric: MetricPlan) -> Self {
        Self { metric, name: name.to_owned(), standard: Vec::new(), added: Vec::new() }
    }

    /// Takes a label away; unknown names have no effect.
    pub fn remove(&mut self, label: &str) {
        match self.slot(label) {
            Some(slot) => *slot = None,
            None => self.added.retain(|(name, _)| name != label),
        }
    }

    /// Gives a label a value. A standard one keeps (or gets back) its place, the last writer wins.
    pub fn set(&mut self, label: &str, source: Source) {
        if let Some(slot) = self.slot(label) {
            *slot = Some(source);
        } else if let Some(known) = self.added.iter_mut().find(|(name, _)| name == label) {
            known.1 = source;
        } else {
            self.added.push((label.to_owned(), source));
        }
    }

    fn slot(&mut self, label: &str) -> Option<&mut Option<Source>> {
        self.standard.iter_mut().find(|(l, _)| l.name() == label).map(|(_, slot)| slot)
    }

    fn finish(self) -> (Vec<(String, Source)>, MetricPlan) {
        let standard = self
            .standard
            .into_iter()
            .filter_map(|(label, source)| Some((label.name().to_owned(), source?)));
        (standard.chain(self.added).collect(), self.metric)
    }
}

/// Puts metrics with equal labels together, in the order they come.
pub(super) fn group(layouts: Vec<Layout>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for layout in layouts {
        let (labels, metric) = layout.finish();
        match groups.iter_mut().find(|group| group.labels == labels) {
            Some(group) => group.metrics.push(metric),
            None => groups.push(Group { labels, metrics: vec![metric] }),
        }
    }
    groups
}

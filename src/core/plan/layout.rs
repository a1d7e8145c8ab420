//! Labels per metric: the standard set, changed entry by entry (Istio stats `PluginConfig.metrics`).

use super::{Group, MetricPlan, Source};
use crate::metric::label::Label;
use crate::metric::standard::{self, Occasion};

/// The labels of one metric while the configuration is applied to it.
#[derive(Debug)]
pub(super) struct Layout {
    pub metric: MetricPlan,
    /// Name in the configuration, without the prefix.
    pub name: String,
    occasion: Occasion,
    /// The standard labels at their places; `None` is removed. Empty for a custom metric.
    standard: Vec<(Label, Option<Source>)>,
    /// Further labels, each name once.
    added: Vec<(String, Source)>,
}

// === impl Layout ===

impl Layout {
    pub fn new(name: &str, occasion: Occasion, metric: MetricPlan) -> Self {
        let standard = standard::labels(occasion)
            .map(|label| (label, Some(Source::Standard(label))))
            .collect();
        Self { metric, name: name.to_owned(), occasion, standard, added: Vec::new() }
    }

    /// Takes a label away; unknown names have no effect.
    pub fn remove(&mut self, label: &str) {
        match self.slot(label) {
            Some(slot) => *slot = None,
            None => self.added.retain(|(name, _)| name != label),
        }
    }

    /// Gives a label a value. A standard one keeps (or gets back) its place, the last writer wins.
    /// A standard label that this metric does not carry has no effect.
    pub fn set(&mut self, label: &str, source: Source) {
        if self.lacks(label) {
            return;
        }
        if let Some(slot) = self.slot(label) {
            *slot = Some(source);
        } else if let Some(known) = self.added.iter_mut().find(|(name, _)| name == label) {
            known.1 = source;
        } else {
            self.added.push((label.to_owned(), source));
        }
    }

    /// Whether `label` is a standard one of other metrics only.
    fn lacks(&self, label: &str) -> bool {
        !self.standard.is_empty()
            && !self.standard.iter().any(|(l, _)| l.name() == label)
            && standard::labels(Occasion::Request).any(|l| l.name() == label)
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
        let occasion = layout.occasion;
        let (labels, metric) = layout.finish();
        let same = |group: &&mut Group| group.occasion == occasion && group.labels == labels;
        match groups.iter_mut().find(same) {
            Some(group) => group.metrics.push(metric),
            None => groups.push(Group { occasion, labels, metrics: vec![metric] }),
        }
    }
    groups
}

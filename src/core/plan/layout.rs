//! Labels per metric: the standard set, changed entry by entry (Istio stats `PluginConfig.metrics`).

use super::{Gate, Group, MetricPlan, Source};
use crate::metric::label::Label;
use crate::metric::standard::{self, Occasion};

/// The labels of one metric while the configuration is applied to it.
#[derive(Debug)]
pub(super) struct Layout {
    pub metric: MetricPlan,
    /// Name in the configuration, without the prefix.
    pub name: String,
    occasion: Occasion,
    /// The standard labels at their places. Empty for a custom metric.
    standard: Vec<(Label, Source)>,
    /// Further labels, each name once.
    added: Vec<(String, Source)>,
}

// === impl Layout ===

impl Layout {
    pub fn new(name: &str, occasion: Occasion, metric: MetricPlan) -> Self {
        let standard =
            standard::labels(occasion).map(|label| (label, Source::Standard(label))).collect();
        Self { metric, name: name.to_owned(), occasion, standard, added: Vec::new() }
    }

    /// Takes a label away, for streams that `when` is for; unknown names have no effect.
    pub fn remove(&mut self, label: &str, when: Option<Gate>) {
        if let Some(place) = self.place(label) {
            change(place, Source::Nothing, when);
        }
    }

    /// Gives a label a value, for streams that `when` is for. A standard one keeps (or gets back) its place, the last
    /// writer wins. A standard label that this metric does not carry has no effect.
    pub fn set(&mut self, label: &str, source: Source, when: Option<Gate>) {
        if self.lacks(label) {
            return;
        }
        if self.place(label).is_none() {
            self.added.push((label.to_owned(), Source::Nothing));
        }
        if let Some(place) = self.place(label) {
            change(place, source, when);
        }
    }

    /// Whether `label` is a standard one of other metrics only.
    fn lacks(&self, label: &str) -> bool {
        !self.standard.is_empty()
            && !self.standard.iter().any(|(l, _)| l.name() == label)
            && standard::labels(Occasion::Request).any(|l| l.name() == label)
    }

    fn place(&mut self, label: &str) -> Option<&mut Source> {
        let standard = self.standard.iter_mut().find(|(l, _)| l.name() == label);
        let standard = standard.map(|(_, source)| source);
        standard.or_else(|| {
            self.added.iter_mut().find(|(name, _)| name == label).map(|(_, source)| source)
        })
    }

    fn finish(self) -> (Vec<(String, Source)>, MetricPlan) {
        let standard =
            self.standard.into_iter().map(|(label, source)| (label.name().to_owned(), source));
        let labels = standard.chain(self.added).filter(|(_, source)| *source != Source::Nothing);
        (labels.collect(), self.metric)
    }
}

fn change(place: &mut Source, source: Source, when: Option<Gate>) {
    let before = std::mem::replace(place, Source::Nothing);
    *place = match (when, before) {
        (None, _) => source,
        (Some(gate), Source::When(same, mut sources)) if same == gate => {
            sources.0 = source;
            Source::When(gate, sources)
        }
        (Some(gate), before) => Source::When(gate, Box::new((source, before))),
    };
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

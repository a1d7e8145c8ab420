//! What becomes of a label when there is no room for another label set: step by step its value is [`OVERFLOW`].

use super::label::{Label, Reporter};

/// Stands for the values that found no room.
pub const OVERFLOW: &[u8] = b"overflow";

/// How far a label set is folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fold {
    /// Not at all.
    #[default]
    None,
    /// Labels that the configuration gives a value.
    Custom,
    /// Peers and services too.
    Peers,
    /// All but what the proxy itself is: these sets are so few that there is room for them always.
    All,
}

/// Whether a label of a set that is folded so far is [`OVERFLOW`]. `label` is the standard label it is made from, `None`
/// for one with a value of the configuration's own.
pub fn folds(fold: Fold, label: Option<Label>, reporter: Reporter) -> bool {
    match (fold, label) {
        (Fold::None, _) => false,
        (_, None) => true,
        (Fold::Custom, Some(_)) => false,
        (Fold::Peers, Some(label)) => label.tells_of_others() && !label.is_own(reporter),
        (Fold::All, Some(label)) => label != Label::Reporter && !label.is_own(reporter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::standard::HTTP_LABELS;

    fn folded(fold: Fold, reporter: Reporter) -> Vec<&'static str> {
        let labels = HTTP_LABELS.into_iter().filter(|l| folds(fold, Some(*l), reporter));
        labels.map(Label::name).collect()
    }

    #[test]
    fn labels_of_the_configuration_go_first() {
        assert!(!folds(Fold::None, None, Reporter::Source));
        for fold in [Fold::Custom, Fold::Peers, Fold::All] {
            assert!(folds(fold, None, Reporter::Source));
        }
        assert!(folded(Fold::Custom, Reporter::Source).is_empty());
    }

    #[test]
    fn the_other_side_goes_next_and_the_own_workload_stays() {
        assert_eq!(
            folded(Fold::Peers, Reporter::Destination),
            [
                "source_workload",
                "source_canonical_service",
                "source_canonical_revision",
                "source_workload_namespace",
                "source_principal",
                "source_app",
                "source_version",
                "source_cluster",
                "destination_principal",
                "destination_service",
                "destination_service_name",
            ]
        );
        assert_eq!(folded(Fold::Peers, Reporter::Source).len(), 12);
        assert_eq!(folded(Fold::Peers, Reporter::Waypoint).len(), 19);
    }

    #[test]
    fn in_the_end_only_the_proxy_itself_is_told() {
        let rest = |reporter| 25 - folded(Fold::All, reporter).len();
        assert_eq!(rest(Reporter::Source), 8);
        assert_eq!(rest(Reporter::Destination), 9);
        assert_eq!(rest(Reporter::Waypoint), 1);
    }
}

//! Which pod labels of a peer are kept beside the standard ones.

/// Names of the pod labels to keep and to send, Istio's `additional_labels` (Envoy `peer_metadata` filter).
///
/// Sorted and free of duplicates; empty names are dropped, since no pod label has one. A peer stores values by
/// [`LabelId`], so an expression resolves its label once, when it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames {
    names: Box<[Box<[u8]>]>,
}

/// Position of a label in the [`LabelNames`] it came from; meaningless with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelId(usize);

// === impl LabelNames ===

impl LabelNames {
    /// Takes names in any order.
    pub fn new<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut sorted: Vec<Box<[u8]>> = Vec::new();
        // Inserting one by one is slower than sorting for many names, but a sort of the standard library is 4 KiB of
        // module for each type it sorts.
        for name in names {
            let name = name.as_ref();
            let place = sorted.binary_search_by(|n| n.as_ref().cmp(name));
            if let (Err(at), false) = (place, name.is_empty()) {
                sorted.insert(at, name.into());
            }
        }
        Self { names: sorted.into() }
    }

    /// The id of `name`, if it was asked for.
    pub fn id(&self, name: &[u8]) -> Option<LabelId> {
        let at = self.names.binary_search_by(|n| n.as_ref().cmp(name)).ok()?;
        Some(LabelId(at))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no label was asked for.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(Box::as_ref)
    }
}

// === impl LabelId ===

impl LabelId {
    pub(super) fn index(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_unique_and_never_empty() {
        let names = LabelNames::new(["team", "", "role", "team"]);
        assert_eq!(names.iter().collect::<Vec<_>>(), [b"role", b"team"]);
        assert_eq!(names.id(b"role"), Some(LabelId(0)));
        assert_eq!(names.id(b"team"), Some(LabelId(1)));
        assert_eq!(names.id(b""), None);
        assert_eq!(names.id(b"tea"), None);
        assert_eq!(names.len(), 2);
        assert!(LabelNames::default().is_empty());
    }
}

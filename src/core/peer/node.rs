//! What is known of a peer.

use super::labels::LabelId;
use std::fmt;

/// One property of a peer, under the name it has in Istio's filter state: `filter_state.downstream_peer.workload`
/// (Envoy `metadata_object`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Name of the workload, such as the Deployment.
    Workload,
    /// Kind of the workload: `pod`, `deployment`, `job` or `cronjob`.
    Type,
    /// Kubernetes namespace.
    Namespace,
    /// Id of the cluster.
    Cluster,
    /// Canonical service (pod label `service.istio.io/canonical-name`, nothing else).
    Service,
    /// Canonical revision (pod label `service.istio.io/canonical-revision`, nothing else).
    Revision,
    /// Application (pod label `app.kubernetes.io/name`, else `app`).
    App,
    /// Version (pod label `app.kubernetes.io/version`, else `version`).
    Version,
    /// Name of the instance, that is of the pod.
    Name,
    /// Identity, a SPIFFE URI.
    Identity,
    /// Region of the locality.
    Region,
    /// Zone of the locality.
    AvailabilityZone,
}

/// The properties of one peer, in two allocations.
///
/// A property that is not known is empty; a default such as `unknown` or `latest` is chosen where a label is
/// rendered, because it depends on the label. What [`super::header::decode`] gives is valid UTF-8; other sources
/// are as the proxy gave them.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    bytes: Box<[u8]>,
    /// Where each value ends in `bytes`: the fields in the order of [`Field::ALL`], then the labels by id.
    ends: Box<[u32]>,
}

/// Properties gathered from a message, borrowed from it, on their way into a [`Peer`].
#[derive(Clone, Debug, Default)]
pub struct PeerFields<'a> {
    values: [&'a [u8]; Field::ALL.len()],
    labels: Vec<&'a [u8]>,
}

// === impl Field ===

impl Field {
    /// Every field, in the order of declaration.
    pub const ALL: [Field; 12] = [
        Field::Workload,
        Field::Type,
        Field::Namespace,
        Field::Cluster,
        Field::Service,
        Field::Revision,
        Field::App,
        Field::Version,
        Field::Name,
        Field::Identity,
        Field::Region,
        Field::AvailabilityZone,
    ];

    /// The name in filter state and in expressions.
    pub fn name(self) -> &'static str {
        match self {
            Field::Workload => "workload",
            Field::Type => "type",
            Field::Namespace => "namespace",
            Field::Cluster => "cluster",
            Field::Service => "service",
            Field::Revision => "revision",
            Field::App => "app",
            Field::Version => "version",
            Field::Name => "name",
            Field::Identity => "identity",
            Field::Region => "region",
            Field::AvailabilityZone => "availability_zone",
        }
    }

    /// The field of that name, if there is one.
    pub fn named(name: &[u8]) -> Option<Field> {
        Field::ALL.into_iter().find(|f| f.name().as_bytes() == name)
    }
}

// === impl Peer ===

impl Peer {
    /// The value of `field`, empty if not known.
    pub fn get(&self, field: Field) -> &[u8] {
        self.slot(field as usize)
    }

    /// The value of a pod label that was asked for, empty if the peer does not have it.
    pub fn label(&self, label: LabelId) -> &[u8] {
        self.slot(label.index().saturating_add(Field::ALL.len()))
    }

    /// Bytes on the heap, for whoever bounds the number of peers.
    pub fn heap_bytes(&self) -> usize {
        let ends = self.ends.len().saturating_mul(size_of::<u32>());
        self.bytes.len().saturating_add(ends)
    }

    fn slot(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.end(before));
        self.bytes.get(start..self.end(at)).unwrap_or_default()
    }

    fn end(&self, at: usize) -> usize {
        self.ends.get(at).map_or(0, |&end| end as usize)
    }
}

impl From<&PeerFields<'_>> for Peer {
    fn from(fields: &PeerFields<'_>) -> Self {
        let values = fields.values.iter().chain(&fields.labels);
        let mut bytes = Vec::with_capacity(values.clone().map(|v| v.len()).sum());
        let mut ends = Vec::with_capacity(values.clone().count());
        for value in values {
            bytes.extend_from_slice(value);
            ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        Self { bytes: bytes.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Field::ALL.into_iter().filter(|&x| !self.get(x).is_empty());
        let labels = self.ends.len().saturating_sub(Field::ALL.len());
        f.debug_map()
            .entries(known.map(|x| (x.name(), String::from_utf8_lossy(self.get(x)))))
            .entry(&"labels", &labels)
            .finish()
    }
}

// === impl PeerFields ===

impl<'a> PeerFields<'a> {
    /// The value set for `field`, empty if none was.
    pub fn get(&self, field: Field) -> &'a [u8] {
        self.values.get(field as usize).copied().unwrap_or_default()
    }

    /// Sets `field`, replacing what was there.
    pub fn set(&mut self, field: Field, value: &'a [u8]) {
        if let Some(slot) = self.values.get_mut(field as usize) {
            *slot = value;
        }
    }

    /// Sets `field` unless it has a value already.
    pub fn set_default(&mut self, field: Field, value: &'a [u8]) {
        if self.get(field).is_empty() {
            self.set(field, value);
        }
    }

    /// Sets one of `count` labels.
    pub fn set_label(&mut self, label: LabelId, count: usize, value: &'a [u8]) {
        self.labels.resize(count, &[]);
        if let Some(slot) = self.labels.get_mut(label.index()) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LabelNames;
    use super::*;

    #[test]
    fn values_come_back_by_field_and_label() {
        let names = LabelNames::new(["role", "team"]);
        let (role, team) = (names.id(b"role").unwrap(), names.id(b"team").unwrap());
        let mut fields = PeerFields::default();
        fields.set(Field::Workload, b"reviews-v1");
        fields.set(Field::AvailabilityZone, b"eu-1a");
        fields.set_label(team, names.len(), b"shop");
        let peer = Peer::from(&fields);
        for field in Field::ALL {
            let expected: &[u8] = match field {
                Field::Workload => b"reviews-v1",
                Field::AvailabilityZone => b"eu-1a",
                _ => b"",
            };
            assert_eq!(peer.get(field), expected, "{field:?}");
        }
        assert_eq!(peer.label(role), b"");
        assert_eq!(peer.label(team), b"shop");
        assert_eq!(
            format!("{peer:?}"),
            r#"{"workload": "reviews-v1", "availability_zone": "eu-1a", "labels": 2}"#
        );
    }

    #[test]
    fn a_label_of_other_names_is_empty() {
        let id = LabelNames::new(["a", "b"]).id(b"b").unwrap();
        assert_eq!(Peer::from(&PeerFields::default()).label(id), b"");
    }

    #[test]
    fn every_field_is_found_by_its_name_and_at_its_place() {
        for (at, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, at);
            assert_eq!(Field::named(field.name().as_bytes()), Some(field));
        }
        assert_eq!(Field::named(b"labels"), None);
    }

    #[test]
    fn set_default_does_not_replace() {
        let mut fields = PeerFields::default();
        fields.set_default(Field::App, b"a");
        fields.set_default(Field::App, b"b");
        assert_eq!(fields.get(Field::App), b"a");
    }
}

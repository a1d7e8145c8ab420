//! From the header to a peer.

use super::super::error::{DecodeError, StructError};
use super::super::protobuf::Entries;
use super::super::{Field, LabelNames, Peer, PeerFields, base64, owner};
use super::{MAX_HEADER_BYTES, label, prefer};

/// The peer that `header` describes, in either encoding.
///
/// A value that is not a string counts as absent, a key that comes twice counts as its last, and keys without a
/// meaning are not looked into. App and version prefer the `app.kubernetes.io` labels; canonical service and revision
/// have no fallback. Beside those, the labels in `labels` are kept, whichever they are.
///
/// # Errors
/// More than [`MAX_HEADER_BYTES`], not base64, not a Struct, or a kept string that is not UTF-8.
pub fn decode(header: &[u8], labels: &LabelNames) -> Result<Peer, DecodeError> {
    decode_with(header, labels, &mut Vec::new())
}

/// [`decode`] with a buffer to reuse.
pub(in super::super) fn decode_with(
    header: &[u8],
    labels: &LabelNames,
    buffer: &mut Vec<u8>,
) -> Result<Peer, DecodeError> {
    if header.len() > MAX_HEADER_BYTES {
        return Err(DecodeError::TooLong { len: header.len() });
    }
    base64::decode(header, buffer)?;
    let fields = read(buffer, labels)?;
    Ok(Peer::from(&fields))
}

/// Keys whose text is a field as it is. As a `match` the same comparisons are twice the code.
const KEYS: [(&[u8], Field); 7] = [
    (b"NAME", Field::Name),
    (b"NAMESPACE", Field::Namespace),
    (b"WORKLOAD_NAME", Field::Workload),
    (b"CLUSTER_ID", Field::Cluster),
    (b"IDENTITY", Field::Identity),
    (b"REGION", Field::Region),
    (b"AVAILABILITY_ZONE", Field::AvailabilityZone),
];

fn read<'a>(message: &'a [u8], labels: &LabelNames) -> Result<PeerFields<'a>, StructError> {
    let mut fields = PeerFields::default();
    let (mut owner, mut pod_labels): (&[u8], &[u8]) = Default::default();
    let mut entries = Entries::of(message);
    while let Some((key, value)) = entries.next()? {
        if let Some((_, field)) = KEYS.iter().find(|(k, _)| *k == key) {
            fields.set(*field, value.text()?);
        } else if key == b"OWNER" {
            owner = value.text()?;
        } else if key == b"LABELS" {
            pod_labels = value.fields();
        }
    }
    let workload_type = owner::workload_type(owner, fields.get(Field::Workload));
    fields.set(Field::Type, workload_type);
    read_labels(pod_labels, labels, &mut fields)?;
    Ok(fields)
}

fn read_labels<'a>(
    message: &'a [u8],
    labels: &LabelNames,
    fields: &mut PeerFields<'a>,
) -> Result<(), StructError> {
    let mut known: [&[u8]; label::ALL.len()] = Default::default();
    let mut entries = Entries::of(message);
    while let Some((key, value)) = entries.next()? {
        let at = label::ALL.iter().position(|name| *name == key);
        if let Some(slot) = at.and_then(|at| known.get_mut(at)) {
            *slot = value.text()?;
        }
        if let Some(id) = labels.id(key) {
            fields.set_label(id, labels.len(), value.text()?);
        }
    }
    let [service, revision, qualified_app, app, qualified_version, version] = known;
    fields.set(Field::Service, service);
    fields.set(Field::Revision, revision);
    fields.set(Field::App, prefer(qualified_app, app));
    fields.set(Field::Version, prefer(qualified_version, version));
    Ok(())
}

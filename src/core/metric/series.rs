//! The series a proxy worker has seen: from a label set to the ids of its metrics, without building a string.

use super::label::Value;
use crate::Hashing;
use crate::port::MetricId;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Ids of the metrics that share one label set; `None` until a metric is defined.
pub type MetricIds = Box<[Option<MetricId>]>;

/// All label sets seen of one group of metrics.
///
/// A lookup hashes the values as they are and compares them with the stored ones byte for byte: two label sets never
/// share a series, and a set seen before costs no allocation.
#[derive(Debug, Default)]
pub struct SeriesTable {
    hash_builder: Hashing,
    entries: HashTable<Entry>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    key: Box<[u8]>,
    ids: MetricIds,
}

const TEXT: u8 = 0;
const INT: u8 = 1;
const FLAGS: u8 = 2;
const ABSENT: u8 = 3;

// === impl SeriesTable ===

impl SeriesTable {
    /// The ids of the label set `values`, a new set with `metrics` undefined ones.
    pub fn ids<'v>(
        &mut self,
        values: impl Iterator<Item = Value<'v>> + Clone,
        metrics: usize,
    ) -> &mut MetricIds {
        let hash = hash(&self.hash_builder, values.clone());
        let entry = self.entries.entry(
            hash,
            |entry| entry.hash == hash && same(&entry.key, values.clone()),
            |entry| entry.hash,
        );
        let new = || Entry {
            hash,
            key: encode(values.clone()),
            ids: vec![None; metrics].into_boxed_slice(),
        };
        &mut entry.or_insert_with(new).into_mut().ids
    }

    /// How many label sets have been seen.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no label set has been seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn hash<'v>(builder: &Hashing, values: impl Iterator<Item = Value<'v>>) -> u64 {
    let mut hasher = builder.build_hasher();
    for value in values {
        match value {
            Value::Absent => hasher.write_u8(ABSENT),
            Value::Text(bytes) => {
                hasher.write_usize(bytes.len());
                hasher.write(bytes);
            }
            Value::Int(number) => hasher.write_i64(number),
            Value::Flags(bits) => hasher.write_u64(bits),
        }
    }
    hasher.finish()
}

fn encode<'v>(values: impl Iterator<Item = Value<'v>>) -> Box<[u8]> {
    let mut key = Vec::new();
    for value in values {
        match value {
            Value::Absent => key.push(ABSENT),
            Value::Text(bytes) => {
                key.push(TEXT);
                key.extend_from_slice(&bytes.len().to_le_bytes());
                key.extend_from_slice(bytes);
            }
            Value::Int(number) => {
                key.push(INT);
                key.extend_from_slice(&number.to_le_bytes());
            }
            Value::Flags(bits) => {
                key.push(FLAGS);
                key.extend_from_slice(&bits.to_le_bytes());
            }
        }
    }
    key.into_boxed_slice()
}

/// Whether `key` is the encoding of `values`.
fn same<'v>(key: &[u8], mut values: impl Iterator<Item = Value<'v>>) -> bool {
    let rest = values.try_fold(key, |key, value| match value {
        Value::Absent => key.strip_prefix(&[ABSENT]),
        Value::Text(bytes) => key
            .strip_prefix(&[TEXT])?
            .strip_prefix(bytes.len().to_le_bytes().as_slice())?
            .strip_prefix(bytes),
        Value::Int(number) => {
            key.strip_prefix(&[INT])?.strip_prefix(number.to_le_bytes().as_slice())
        }
        Value::Flags(bits) => {
            key.strip_prefix(&[FLAGS])?.strip_prefix(bits.to_le_bytes().as_slice())
        }
    });
    rest.is_some_and(<[u8]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(table: &mut SeriesTable, values: &[Value<'_>]) -> MetricIds {
        table.ids(values.iter().copied(), 1).clone()
    }

    #[test]
    fn a_label_set_keeps_its_ids() {
        let mut table = SeriesTable::default();
        let set = [Value::Text(b"a"), Value::Int(200), Value::Flags(0)];
        table.ids(set.into_iter(), 1)[0] = Some(MetricId(7));
        assert_eq!(*ids(&mut table, &set), [Some(MetricId(7))]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        let mut table = SeriesTable::default();
        ids(&mut table, &[Value::Text(b"ab"), Value::Text(b"c")]);
        ids(&mut table, &[Value::Text(b"a"), Value::Text(b"bc")]);
        ids(&mut table, &[Value::Int(1), Value::Text(b"")]);
        ids(&mut table, &[Value::Flags(1), Value::Text(b"")]);
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_key_is_the_same_only_as_a_whole() {
        let key = encode([Value::Text(b"a"), Value::Int(1)].into_iter());
        assert!(same(&key, [Value::Text(b"a"), Value::Int(1)].into_iter()));
        assert!(!same(&key, [Value::Text(b"a")].into_iter()));
        assert!(!same(&key, [Value::Text(b"a"), Value::Int(1), Value::Int(1)].into_iter()));
        assert!(!same(&key, [Value::Text(b"a"), Value::Flags(1)].into_iter()));
    }
}

//! The series a proxy worker has seen: from a label set to the ids of its metrics, without building a string.

use super::cut::Cut;
use super::label::Value;
use crate::Hashing;
use crate::expr::Numbers;
use crate::port::MetricId;
use std::hash::{BuildHasher, Hasher};

/// Ids of the metrics that share one label set; `None` until a metric is defined.
pub type MetricIds = Box<[Option<MetricId>]>;

/// All label sets seen of one group of metrics.
///
/// A lookup hashes the values as they are and compares them with the stored ones byte for byte: two label sets never
/// share a series, and a set seen before costs no allocation. Of a value that is cut only what makes its label is kept.
#[derive(Debug)]
pub struct SeriesTable {
    hasher: Hashing,
    max_bytes: usize,
    places: Numbers,
    entries: Vec<Entry>,
}

/// Where a label set is in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    ids: MetricIds,
}

/// A value as it is hashed and kept: its kind, its number and the length of its text, then the text.
struct Part<'v> {
    head: [u8; 12],
    bytes: &'v [u8],
}

const TEXT: u8 = 0;
const INT: u8 = 1;
const FLAGS: u8 = 2;
const ABSENT: u8 = 3;
const LONG: u8 = 4;
const CONNECTION_FLAGS: u8 = 5;

// === impl SeriesTable ===

impl SeriesTable {
    /// An empty table. Tables of one `seed` hash alike, in whichever worker they are. Values of more than `max_bytes` are
    /// told apart as [`Cut`] does.
    pub fn new(seed: u64, max_bytes: usize) -> Self {
        Self {
            hasher: Hashing::with_seed(seed),
            max_bytes,
            places: Numbers::default(),
            entries: Vec::new(),
        }
    }

    /// The hash of a label set.
    #[inline(never)]
    pub fn hash<'v>(&self, values: impl Iterator<Item = Value<'v>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            let Part { head, bytes } = self.part(value);
            hasher.write(&head);
            hasher.write(bytes);
        }
        hasher.finish()
    }

    /// Where the label set with this hash and these values is, if it has been seen.
    #[inline(never)]
    pub fn find<'v>(
        &self,
        hash: u64,
        values: impl Iterator<Item = Value<'v>> + Clone,
    ) -> Option<Place> {
        let same = |place: u32| {
            self.entry(Place(place)).is_some_and(|entry| self.same(&entry.key, values.clone()))
        };
        self.places.find(hash, &same).map(Place)
    }

    /// Takes up a label set that has not been seen, with `metrics` undefined ids.
    #[inline(never)]
    pub fn insert<'v>(
        &mut self,
        hash: u64,
        values: impl Iterator<Item = Value<'v>>,
        metrics: usize,
    ) -> Place {
        let place = Place(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let key = self.encode(values);
        self.entries.push(Entry { key, ids: vec![None; metrics].into_boxed_slice() });
        self.places.insert(hash, place.0);
        place
    }

    /// The ids of a label set.
    pub fn ids(&mut self, place: Place) -> &mut [Option<MetricId>] {
        let entry = usize::try_from(place.0).ok().and_then(|index| self.entries.get_mut(index));
        entry.map(|entry| &mut *entry.ids).unwrap_or_default()
    }

    /// How many label sets have been seen.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no label set has been seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        self.entries.get(usize::try_from(place.0).ok()?)
    }

    fn encode<'v>(&self, values: impl Iterator<Item = Value<'v>>) -> Box<[u8]> {
        let mut key = Vec::new();
        for value in values {
            let Part { head, bytes } = self.part(value);
            key.extend_from_slice(&head);
            key.extend_from_slice(bytes);
        }
        key.into_boxed_slice()
    }

    /// Whether `key` is the encoding of `values`.
    fn same<'v>(&self, key: &[u8], mut values: impl Iterator<Item = Value<'v>>) -> bool {
        let rest = values.try_fold(key, |key, value| {
            let Part { head, bytes } = self.part(value);
            key.strip_prefix(head.as_slice())?.strip_prefix(bytes)
        });
        rest.is_some_and(<[u8]>::is_empty)
    }

    fn part<'v>(&self, value: Value<'v>) -> Part<'v> {
        match value {
            Value::Absent => Part::new(ABSENT, 0, b""),
            Value::Int(number) => Part::new(INT, number.cast_unsigned(), b""),
            Value::Flags(bits) => Part::new(FLAGS, bits, b""),
            Value::ConnectionFlags(bits) => Part::new(CONNECTION_FLAGS, bits, b""),
            Value::Text(bytes) => match Cut::of(bytes, self.max_bytes) {
                None => Part::new(TEXT, 0, bytes),
                Some(Cut { head, hash }) => Part::new(LONG, hash, head),
            },
        }
    }
}

// === impl Part ===

impl<'v> Part<'v> {
    fn new(kind: u8, number: u64, bytes: &'v [u8]) -> Self {
        // Values have at most `max_bytes`, a few thousand.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let [a, b, c, _] = len.to_le_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = number.to_le_bytes();
        Self { head: [kind, a, b, c, n0, n1, n2, n3, n4, n5, n6, n7], bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SeriesTable {
        SeriesTable::new(1, 64)
    }

    fn find(table: &SeriesTable, values: &[Value<'_>]) -> Option<Place> {
        table.find(table.hash(values.iter().copied()), values.iter().copied())
    }

    fn insert(table: &mut SeriesTable, values: &[Value<'_>]) -> Place {
        assert_eq!(find(table, values), None);
        table.insert(table.hash(values.iter().copied()), values.iter().copied(), 1)
    }

    #[test]
    fn a_label_set_keeps_its_ids() {
        let mut table = table();
        let set = [Value::Text(b"a"), Value::Int(200), Value::Flags(0)];
        let place = insert(&mut table, &set);
        table.ids(place)[0] = Some(MetricId(7));
        let found = find(&table, &set).unwrap();
        assert_eq!(*table.ids(found), [Some(MetricId(7))]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        let mut table = table();
        insert(&mut table, &[Value::Text(b"ab"), Value::Text(b"c")]);
        insert(&mut table, &[Value::Text(b"a"), Value::Text(b"bc")]);
        insert(&mut table, &[Value::Int(1), Value::Text(b"")]);
        insert(&mut table, &[Value::Flags(1), Value::Text(b"")]);
        insert(&mut table, &[Value::ConnectionFlags(1), Value::Text(b"")]);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn a_key_is_the_same_only_as_a_whole() {
        let table = table();
        let key = table.encode([Value::Text(b"a"), Value::Int(1)].into_iter());
        assert!(table.same(&key, [Value::Text(b"a"), Value::Int(1)].into_iter()));
        assert!(!table.same(&key, [Value::Text(b"a")].into_iter()));
        assert!(!table.same(&key, [Value::Text(b"a"), Value::Int(1), Value::Int(1)].into_iter()));
        assert!(!table.same(&key, [Value::Text(b"a"), Value::Flags(1)].into_iter()));
    }

    #[test]
    fn long_values_are_told_apart_and_not_kept() {
        let mut table = table();
        let long = |end: u8| [&[b'v'; 60_000][..], &[end]].concat();
        let (one, other) = (long(1), long(2));
        let place = insert(&mut table, &[Value::Text(&one)]);
        assert_eq!(find(&table, &[Value::Text(&one)]), Some(place));
        assert_ne!(insert(&mut table, &[Value::Text(&other)]), place);
        assert!(table.entries.iter().all(|entry| entry.key.len() < 100));
    }

    #[test]
    fn tables_of_one_seed_hash_alike() {
        let set = [Value::Text(b"a"), Value::Int(200)];
        let hash = |seed| SeriesTable::new(seed, 64).hash(set.into_iter());
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}

//! How many different things there may be, counted by all workers of a proxy together.
//!
//! Each worker has a VM of its own, and one knows nothing of another; what they have in common is the proxy's shared data
//! (proxy-wasm ABI, `proxy_get_shared_data`), which changes by compare and swap. A [`Registry`] keeps one value there: the
//! hashes of all that was admitted, 8 bytes each. It is asked for what this worker has not seen, and never again for what
//! it has, nor once there is no more room.

use crate::port::{Failed, Sink};

/// Hashes that all workers have admitted, as far as this one knows.
#[derive(Debug)]
pub struct Registry {
    name: String,
    /// Sorted.
    known: Vec<u64>,
    /// Whether there is shared data; without, each worker counts for itself.
    shared: bool,
}

/// What a registry answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It was there already.
    Known,
    /// It has been added.
    New,
    /// There is no room.
    Full,
}

/// How often to try again when other workers add at the same time. Each time one of them has got on.
const TRIES: usize = 64;

const HASH_BYTES: usize = 8;

// === impl Registry ===

impl Registry {
    /// Opens the registry of a name, and creates it if nobody has. The proxy configures one VM before all others, so there
    /// is nobody to do so at the same time.
    ///
    /// The second part is an error when there is no shared data; the registry is this worker's alone then.
    pub fn open(name: String, sink: &mut impl Sink) -> (Self, Result<(), Failed>) {
        let mut registry = Self { name, known: Vec::new(), shared: true };
        let opened = registry.load(sink).and_then(|version| match version {
            Some(_) => Ok(()),
            None => sink.share(&registry.name, b"", None).map(drop),
        });
        registry.shared = opened.is_ok();
        (registry, opened)
    }

    /// Whether `hash` is there, or there is room for it as far as this worker knows.
    pub fn has_room(&self, hash: u64, limit: usize) -> bool {
        self.knows(hash) || self.known.len() < limit
    }

    /// Adds `hash` unless there are `limit` others.
    ///
    /// # Errors
    /// When the proxy shares no more; from then on this worker counts for itself.
    pub fn admit(
        &mut self,
        hash: u64,
        limit: usize,
        sink: &mut impl Sink,
    ) -> Result<Admission, Failed> {
        if self.knows(hash) {
            return Ok(Admission::Known);
        }
        let admitted = if self.shared { self.admit_shared(hash, limit, sink) } else { Ok(None) };
        self.shared &= admitted.is_ok();
        if let Ok(Some(admission)) = admitted {
            return Ok(admission);
        }
        if self.known.len() >= limit {
            return admitted.map(|_| Admission::Full);
        }
        self.learn(hash);
        admitted.map(|_| Admission::New)
    }

    /// How many have been admitted, as far as this worker knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing has been admitted, as far as this worker knows.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn admit_shared(
        &mut self,
        hash: u64,
        limit: usize,
        sink: &mut impl Sink,
    ) -> Result<Option<Admission>, Failed> {
        for _ in 0..TRIES {
            if self.knows(hash) {
                return Ok(Some(Admission::Known));
            }
            if self.known.len() >= limit {
                break;
            }
            let mut value = Vec::new();
            let version = sink.shared(&self.name, &mut value)?;
            self.learn_all(&value);
            if self.knows(hash) || self.known.len() >= limit {
                continue;
            }
            value.extend_from_slice(&hash.to_le_bytes());
            if sink.share(&self.name, &value, version)? {
                self.learn(hash);
                return Ok(Some(Admission::New));
            }
        }
        Ok(Some(Admission::Full))
    }

    fn load(&mut self, sink: &mut impl Sink) -> Result<Option<u32>, Failed> {
        let mut value = Vec::new();
        let version = sink.shared(&self.name, &mut value)?;
        self.learn_all(&value);
        Ok(version)
    }

    fn learn_all(&mut self, value: &[u8]) {
        let (hashes, _) = value.as_chunks::<HASH_BYTES>();
        hashes.iter().for_each(|hash| self.learn(u64::from_le_bytes(*hash)));
    }

    fn learn(&mut self, hash: u64) {
        if let Err(place) = self.known.binary_search(&hash) {
            self.known.insert(place, hash);
        }
    }

    fn knows(&self, hash: u64) -> bool {
        self.known.binary_search(&hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{MetricId, MetricKind};
    use std::collections::BTreeMap;

    /// Shared data; `disturb` others write between a read and the write that follows, `refuse` the calls from one on.
    #[derive(Default)]
    struct Shared {
        values: BTreeMap<String, (Vec<u8>, u32)>,
        version: u32,
        disturb: Vec<u64>,
        refused: bool,
        calls: usize,
    }

    impl Sink for Shared {
        fn define(&mut self, _: MetricKind, _: &str) -> Result<MetricId, Failed> {
            Err(Failed(12))
        }

        fn increment(&mut self, _: MetricId, _: i64) -> Result<(), Failed> {
            Err(Failed(12))
        }

        fn record(&mut self, _: MetricId, _: u64) -> Result<(), Failed> {
            Err(Failed(12))
        }

        fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
            self.calls += 1;
            if self.refused {
                return Err(Failed(12));
            }
            let found = self.values.get(name).cloned();
            if let (Some(other), Some((value, _))) = (self.disturb.pop(), &found) {
                let changed = [value.as_slice(), &other.to_le_bytes()].concat();
                self.version += 1;
                self.values.insert(name.to_owned(), (changed, self.version));
            }
            Ok(found.map(|(value, version)| {
                out.extend(value);
                version
            }))
        }

        fn share(
            &mut self,
            name: &str,
            value: &[u8],
            version: Option<u32>,
        ) -> Result<bool, Failed> {
            self.calls += 1;
            if self.refused {
                return Err(Failed(12));
            }
            let current = self.values.get(name).map(|(_, version)| *version);
            if version.is_some() && version != current {
                return Ok(false);
            }
            self.version += 1;
            self.values.insert(name.to_owned(), (value.to_vec(), self.version));
            Ok(true)
        }
    }

    fn open(sink: &mut Shared) -> Registry {
        let (registry, opened) = Registry::open("r".to_owned(), sink);
        opened.unwrap();
        registry
    }

    #[test]
    fn workers_stay_within_the_limit_together() {
        let mut sink = Shared::default();
        let (mut one, mut other) = (open(&mut sink), open(&mut sink));
        assert_eq!(one.admit(1, 3, &mut sink), Ok(Admission::New));
        assert_eq!(other.admit(1, 3, &mut sink), Ok(Admission::Known));
        assert_eq!(other.admit(2, 3, &mut sink), Ok(Admission::New));
        assert_eq!(one.admit(3, 3, &mut sink), Ok(Admission::New));
        assert_eq!(other.admit(4, 3, &mut sink), Ok(Admission::Full));
        assert_eq!(other.admit(3, 3, &mut sink), Ok(Admission::Known));
        assert_eq!((one.len(), other.len()), (3, 3));
    }

    #[test]
    fn the_host_is_asked_for_what_is_new_alone() {
        let mut sink = Shared::default();
        let mut one = open(&mut sink);
        one.admit(1, 2, &mut sink).unwrap();
        one.admit(2, 2, &mut sink).unwrap();
        sink.calls = 0;
        assert_eq!(one.admit(1, 2, &mut sink), Ok(Admission::Known));
        assert_eq!(one.admit(3, 2, &mut sink), Ok(Admission::Full));
        assert_eq!(sink.calls, 0);
    }

    #[test]
    fn what_others_add_meanwhile_is_neither_lost_nor_exceeded() {
        let mut sink = Shared::default();
        let mut one = open(&mut sink);
        sink.disturb = vec![8, 9];
        assert_eq!(one.admit(1, 3, &mut sink), Ok(Admission::New));
        assert_eq!(open(&mut sink).len(), 3);
        let mut other = open(&mut sink);
        sink.disturb = vec![7];
        assert_eq!(other.admit(2, 4, &mut sink), Ok(Admission::Full));
    }

    #[test]
    fn what_another_adds_at_the_same_time_is_known() {
        let mut sink = Shared::default();
        let mut one = open(&mut sink);
        sink.disturb = vec![1];
        assert_eq!(one.admit(1, 3, &mut sink), Ok(Admission::Known));
        assert_eq!(open(&mut sink).len(), 1);
    }

    #[test]
    fn without_shared_data_a_worker_counts_for_itself() {
        let mut sink = Shared { refused: true, ..Shared::default() };
        let (mut alone, opened) = Registry::open("r".to_owned(), &mut sink);
        assert_eq!(opened, Err(Failed(12)));
        sink.calls = 0;
        assert_eq!(alone.admit(1, 1, &mut sink), Ok(Admission::New));
        assert_eq!(alone.admit(2, 1, &mut sink), Ok(Admission::Full));
        assert_eq!(alone.admit(1, 1, &mut sink), Ok(Admission::Known));
        assert_eq!(sink.calls, 0);
    }

    #[test]
    fn a_worker_whose_shared_data_breaks_goes_on_alone() {
        let mut sink = Shared::default();
        let mut one = open(&mut sink);
        one.admit(1, 3, &mut sink).unwrap();
        sink.refused = true;
        assert_eq!(one.admit(2, 3, &mut sink), Err(Failed(12)));
        assert_eq!(one.admit(3, 3, &mut sink), Ok(Admission::New));
        assert_eq!(one.admit(4, 3, &mut sink), Ok(Admission::Full));
    }
}

//! Peers already decoded, so that a repeated header costs a hash and a comparison.
//!
//! # It cannot be poisoned
//! Istio's own cache is keyed by the peer id alone, so whoever sends someone else's id first decides that peer's
//! labels for everybody. Here the key is the whole metadata header, compared byte for byte: a peer is a function of
//! that header and nothing else. The id is not part of the key, because the same metadata under another id is the same
//! peer; with it a sender could fill the cache by changing the id alone. The hash only finds candidates. Its seed
//! need not be secret: headers made to collide slow a lookup by at most `max_peers` comparisons, nearly all of them
//! decided by length or the first bytes.
//!
//! # Bounds
//! At most `max_peers` entries and [`MAX_CACHE_BYTES`], keys, peers and tables included, plus one decode buffer of at
//! most [`MAX_HEADER_BYTES`]. When either is reached the oldest quarter goes. A full encoding is 1 to 4 KiB, so 500
//! peers need 1 to 2 MiB at the most and the bytes rarely bind first. Streams hold a peer by [`Rc`], so it stays
//! whole for them after it has left the cache.

use super::error::DecodeError;
use super::header::{MAX_HEADER_BYTES, decode_with};
use super::{LabelNames, Peer};
use crate::Hashing;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::rc::Rc;

/// Entries of a cache that is not told otherwise, as in Istio.
pub const DEFAULT_MAX_PEERS: usize = 500;

/// Most bytes the entries of a cache take together. Proxies run in containers with 40 to 128 MiB, and there is one
/// cache per worker.
pub const MAX_CACHE_BYTES: usize = 2 * 1024 * 1024;

/// What an entry costs beside its header and its peer's values: its place in a queue that doubles, two counts of an
/// [`Rc`], and a table slot at the lowest load a growing table has.
const ENTRY_BYTES: usize =
    2 * size_of::<Entry>() + size_of::<Peer>() + 2 * size_of::<usize>() + 3 * size_of::<u64>();

/// Decoded peers by metadata header, for one configuration's label names; a new configuration takes a new cache.
#[derive(Debug)]
pub struct PeerCache<S = Hashing> {
    labels: LabelNames,
    max_peers: usize,
    /// Serial numbers of entries, by hash of the header.
    table: HashTable<u64>,
    entries: VecDeque<Entry>,
    /// Serial number of the oldest entry.
    oldest: u64,
    bytes: usize,
    buffer: Vec<u8>,
    hasher: S,
}

/// What is known of the peer behind a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// There was no header, or an empty one, which counts as none.
    Absent,
    /// Seen before.
    Hit(Rc<Peer>),
    /// Decoded now.
    Decoded(Rc<Peer>),
    /// Not understood, found out now.
    Failed(DecodeError),
    /// Not understood when it first came, and not tried again.
    FailedBefore(DecodeError),
}

#[derive(Debug)]
struct Entry {
    header: Box<[u8]>,
    hash: u64,
    peer: Result<Rc<Peer>, DecodeError>,
}

// === impl PeerCache ===

impl PeerCache {
    /// An empty cache of at most `max_peers` peers, 0 for none, each with the labels in `labels`.
    pub fn new(max_peers: usize, labels: LabelNames) -> Self {
        Self::with_hasher(max_peers, labels, Hashing::default())
    }
}

impl<S: BuildHasher> PeerCache<S> {
    /// [`PeerCache::new`] with a hash function of one's own.
    pub fn with_hasher(max_peers: usize, labels: LabelNames, hasher: S) -> Self {
        Self {
            labels,
            max_peers,
            table: HashTable::new(),
            entries: VecDeque::new(),
            oldest: 0,
            bytes: 0,
            buffer: Vec::new(),
            hasher,
        }
    }

    /// The peer that the value of `x-envoy-peer-metadata` describes.
    ///
    /// A header seen before is neither decoded nor copied, and nothing is allocated for it; that holds for one that
    /// was not understood as well. One beyond [`MAX_HEADER_BYTES`] is refused by its length and not remembered.
    pub fn get_or_decode(&mut self, header: &[u8]) -> Lookup {
        if header.is_empty() {
            return Lookup::Absent;
        }
        if header.len() > MAX_HEADER_BYTES {
            return Lookup::Failed(DecodeError::TooLong { len: header.len() });
        }
        let hash = self.hasher.hash_one(header);
        if let Some(known) = self.find(hash, header) {
            return known;
        }
        let peer = decode_with(header, &self.labels, &mut self.buffer).map(Rc::new);
        self.insert(hash, header, peer.clone());
        match peer {
            Ok(peer) => Lookup::Decoded(peer),
            Err(error) => Lookup::Failed(error),
        }
    }

    /// The label names the peers were decoded for.
    pub fn labels(&self) -> &LabelNames {
        &self.labels
    }

    /// Entries held, headers that were not understood included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes the entries take, never more than [`MAX_CACHE_BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn find(&self, hash: u64, header: &[u8]) -> Option<Lookup> {
        let same = |&serial: &u64| {
            let entry = entry_at(&self.entries, self.oldest, serial);
            entry.is_some_and(|e| *e.header == *header)
        };
        let serial = self.table.find(hash, same)?;
        match &entry_at(&self.entries, self.oldest, *serial)?.peer {
            Ok(peer) => Some(Lookup::Hit(Rc::clone(peer))),
            Err(error) => Some(Lookup::FailedBefore(*error)),
        }
    }

    fn insert(&mut self, hash: u64, header: &[u8], peer: Result<Rc<Peer>, DecodeError>) {
        if self.max_peers == 0 {
            return;
        }
        let header = header.into();
        let entry = Entry { header, hash, peer };
        self.make_room(entry.cost());
        self.bytes = self.bytes.saturating_add(entry.cost());
        let serial = self.oldest.wrapping_add(self.entries.len() as u64);
        self.entries.push_back(entry);
        let (entries, oldest) = (&self.entries, self.oldest);
        let rehash = |&s: &u64| entry_at(entries, oldest, s).map_or(0, |e| e.hash);
        self.table.insert_unique(hash, serial, rehash);
    }

    fn make_room(&mut self, cost: usize) {
        let limit = MAX_CACHE_BYTES.saturating_sub(cost);
        while !self.is_empty() && (self.len() >= self.max_peers || self.bytes > limit) {
            let quarter = (self.len() / 4).max(1);
            (0..quarter).for_each(|_| self.drop_oldest());
        }
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        let oldest = self.oldest;
        if let Ok(slot) = self.table.find_entry(entry.hash, |&s| s == oldest) {
            slot.remove();
        }
        self.oldest = oldest.wrapping_add(1);
        self.bytes = self.bytes.saturating_sub(entry.cost());
    }
}

// === impl Lookup ===

impl Lookup {
    /// The peer, if there is one.
    pub fn peer(&self) -> Option<&Rc<Peer>> {
        match self {
            Lookup::Hit(peer) | Lookup::Decoded(peer) => Some(peer),
            _ => None,
        }
    }

    /// Why there is a header and no peer.
    pub fn error(&self) -> Option<DecodeError> {
        match self {
            Lookup::Failed(error) | Lookup::FailedBefore(error) => Some(*error),
            _ => None,
        }
    }
}

// === impl Entry ===

impl Entry {
    fn cost(&self) -> usize {
        let peer = self.peer.as_ref().map_or(0, |p| p.heap_bytes());
        let values = self.header.len().saturating_add(peer);
        values.saturating_add(ENTRY_BYTES)
    }
}

fn entry_at(entries: &VecDeque<Entry>, oldest: u64, serial: u64) -> Option<&Entry> {
    entries.get(usize::try_from(serial.wrapping_sub(oldest)).ok()?)
}

#[cfg(test)]
mod tests;

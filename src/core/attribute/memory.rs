//! Facts that many streams have in common, remembered by what they belong to: a connection, a cluster, an endpoint.
//!
//! A key costs one short element of a list; what is remembered under it would cost ten times that on every stream.

use super::fact::Fact;
use super::facts::{Facts, Ranges};
use crate::expr::Numbers;
use crate::limits::{MAX_REMEMBERED, MAX_REMEMBERED_BYTES};
use crate::port::{ExprId, Host};

/// All that is remembered for one worker.
#[derive(Debug)]
pub(crate) struct Memories {
    connections: Memory,
    clusters: Memory,
    endpoints: Memory,
}

/// Facts that are the same for all streams with the same key.
#[derive(Debug)]
struct Memory {
    /// The facts that make up the key.
    by: &'static [Fact],
    facts: Vec<(Fact, ExprId)>,
    /// Entries by the hash of their key.
    index: Numbers,
    entries: Vec<Entry>,
    bytes: usize,
    /// The key looked for.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    /// Where the value of each fact ends, four bytes each, and the values.
    values: Box<[u8]>,
}

/// Bytes of an end.
const END: usize = 4;

/// Stands for facts without a key.
const NOTHING: u8 = 0;
/// In front of what is recalled.
const SOMETHING: u8 = 1;

const OF_CONNECTION: &[Fact] =
    &[Fact::DownstreamLocalSan, Fact::DownstreamPeerSan, Fact::PeerPrincipal, Fact::LocalPrincipal];
const OF_CLUSTER: &[Fact] =
    &[Fact::ClusterService, Fact::ClusterExternal, Fact::ClusterDisablesExchange];
const OF_ENDPOINT: &[Fact] = &[Fact::EndpointWorkload];

const BY_CONNECTION: &[Fact] = &[Fact::ConnectionId];
const BY_CLUSTER: &[Fact] = &[Fact::ClusterName];
const BY_ENDPOINT: &[Fact] = &[Fact::ClusterName, Fact::UpstreamAddress];

/// What to fetch of a stream when `needs` are needed: keys in the place of what is remembered under them.
pub(crate) fn keys_of(needs: &[Fact]) -> Vec<Fact> {
    let mut keys = Vec::new();
    for fact in needs {
        let groups =
            [(OF_CONNECTION, BY_CONNECTION), (OF_CLUSTER, BY_CLUSTER), (OF_ENDPOINT, BY_ENDPOINT)];
        match groups.iter().find(|(facts, _)| facts.contains(fact)) {
            Some((_, by)) => keys.extend_from_slice(by),
            None => keys.push(*fact),
        }
    }
    keys
}

// === impl Memories ===

impl Memories {
    /// Remembers those of `needs` that streams have in common.
    pub fn compile(needs: &[Fact], host: &mut impl Host) -> Self {
        let mut memory = |facts: &[Fact], by| Memory::compile(facts, by, needs, host);
        Self {
            connections: memory(OF_CONNECTION, BY_CONNECTION),
            clusters: memory(OF_CLUSTER, BY_CLUSTER),
            endpoints: memory(OF_ENDPOINT, BY_ENDPOINT),
        }
    }

    /// Whether anything is asked about endpoints.
    pub fn asks_endpoints(&self) -> bool {
        !self.endpoints.facts.is_empty()
    }

    /// Adds what belongs to the keys among the facts of a stream, the endpoint if it is wanted; what has no key is absent.
    pub fn recall(
        &mut self,
        endpoint: bool,
        host: &mut impl Host,
        buffer: &mut Vec<u8>,
        ranges: &mut Ranges,
    ) {
        self.connections.recall(host, buffer, ranges);
        self.clusters.recall(host, buffer, ranges);
        if endpoint {
            self.endpoints.recall(host, buffer, ranges);
        }
    }

    /// Forgets what the control plane may change under the same name.
    pub fn forget(&mut self) {
        self.clusters.forget();
        self.endpoints.forget();
    }

    /// Whether anything is remembered that may change.
    pub fn forgets(&self) -> bool {
        !self.clusters.facts.is_empty() || !self.endpoints.facts.is_empty()
    }
}

// === impl Memory ===

impl Memory {
    fn compile(facts: &[Fact], by: &'static [Fact], needs: &[Fact], host: &mut impl Host) -> Self {
        let mut compiled = Vec::new();
        for fact in facts.iter().filter(|fact| needs.contains(fact)) {
            compiled.extend(host.compile(fact.expression()).map(|expression| (*fact, expression)));
        }
        Self {
            by,
            facts: compiled,
            index: Numbers::default(),
            entries: Vec::new(),
            bytes: 0,
            key: Vec::new(),
        }
    }

    fn recall(&mut self, host: &mut impl Host, buffer: &mut Vec<u8>, ranges: &mut Ranges) {
        if self.facts.is_empty() {
            return;
        }
        if !self.take_key(&Facts::new(buffer, ranges)) {
            return buffer.push(NOTHING);
        }
        let hash = self.index.hash(self.key.as_slice());
        let same = |number: u32| self.entry(number).is_some_and(|entry| *entry.key == *self.key);
        let number = match self.index.find(hash, &same) {
            Some(number) => number,
            None => self.learn(hash, host),
        };
        let Some(entry) = self.entry(number) else { return };
        buffer.push(SOMETHING);
        let start = buffer.len();
        buffer.extend_from_slice(&entry.values);
        let (ends, _) = entry.values.as_chunks::<END>();
        let mut from = start.saturating_add(self.facts.len().saturating_mul(END));
        for ((fact, _), end) in self.facts.iter().zip(ends) {
            let end = usize::try_from(u32::from_le_bytes(*end)).unwrap_or_default();
            let end = start.saturating_add(end);
            ranges.set_fact(*fact, from..end);
            from = end;
        }
    }

    /// Makes the key of a stream; `false` when a part of it is absent.
    fn take_key(&mut self, facts: &Facts<'_>) -> bool {
        self.key.clear();
        for fact in self.by {
            let part = facts.bytes(*fact);
            if part.is_empty() {
                return false;
            }
            self.key.extend_from_slice(&part.len().to_le_bytes());
            self.key.extend_from_slice(part);
        }
        true
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    /// Asks for the facts of a new key; returns its number.
    fn learn(&mut self, hash: u64, host: &mut impl Host) -> u32 {
        let mut values = vec![0; self.facts.len().saturating_mul(END)];
        for (number, (_, expression)) in self.facts.iter().enumerate() {
            let end = values.len();
            if host.evaluate(*expression, &mut values).is_err() {
                values.truncate(end);
            }
            let end = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let (ends, _) = values.as_chunks_mut::<END>();
            ends.get_mut(number).into_iter().for_each(|place| *place = end.to_le_bytes());
        }
        let bytes = values.len().saturating_add(self.key.len());
        if self.entries.len() >= MAX_REMEMBERED
            || self.bytes.saturating_add(bytes) > MAX_REMEMBERED_BYTES
        {
            self.forget();
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let number = u32::try_from(self.entries.len()).unwrap_or_default();
        let key = self.key.as_slice().into();
        self.entries.push(Entry { key, values: values.into() });
        self.index.insert(hash, number);
        number
    }

    fn forget(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests;

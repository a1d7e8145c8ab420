//! A hash index over things that live elsewhere, by number. One concrete type, because every instance of a generic hash
//! map adds its own copy of the growing code to the module.

use crate::Hashing;
use core::hash::{BuildHasher, Hash};
use hashbrown::HashTable;

/// Numbers with the hashes of what they stand for.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    table: HashTable<(u64, u32)>,
    hasher: Hashing,
}

// === impl Numbers ===

impl Numbers {
    pub fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The number with this hash for which `same` holds.
    pub fn find(&self, hash: u64, same: &dyn Fn(u32) -> bool) -> Option<u32> {
        let found = self.table.find(hash, |(known, number)| *known == hash && same(*number));
        found.map(|(_, number)| *number)
    }

    /// Adds a number that is not there yet.
    #[inline(never)]
    pub fn insert(&mut self, hash: u64, number: u32) {
        self.table.insert_unique(hash, (hash, number), |(hash, _)| *hash);
    }

    pub fn clear(&mut self) {
        self.table.clear();
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.table.capacity() * 17
    }
}

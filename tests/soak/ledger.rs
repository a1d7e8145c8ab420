//! What clients and upstreams saw, to be held against what the proxies count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sums under two names; clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Sums>>);

/// Counts by kind of exchange and by what came of it, such as a status.
pub type Sums = BTreeMap<(String, String), u64>;

// === impl Ledger ===

impl Ledger {
    /// Adds to a sum.
    pub fn add(&self, kind: &str, outcome: &str, amount: u64) {
        *self.sums().entry((kind.to_owned(), outcome.to_owned())).or_default() += amount;
    }

    /// All sums so far.
    pub fn read(&self) -> Sums {
        self.sums().clone()
    }

    /// A sum.
    pub fn of(&self, kind: &str, outcome: &str) -> u64 {
        let key = (kind.to_owned(), outcome.to_owned());
        self.sums().get(&key).copied().unwrap_or_default()
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

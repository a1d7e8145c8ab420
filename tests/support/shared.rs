//! What the VMs of a proxy share (proxy-wasm ABI, shared data), with Envoy's rules of versions.

use crate::cel::status::{CAS_MISMATCH, NOT_FOUND};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared data; clones are the same data.
#[derive(Clone, Debug, Default)]
pub struct SharedData(Arc<Mutex<Values>>);

#[derive(Debug, Default)]
struct Values {
    by_name: BTreeMap<String, (Vec<u8>, u32)>,
    last_version: u32,
}

// === impl SharedData ===

impl SharedData {
    /// A value and its version.
    ///
    /// # Errors
    /// `NotFound` when it was never set.
    pub fn get(&self, name: &str) -> Result<(Vec<u8>, u32), u32> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.by_name.get(name).cloned().ok_or(NOT_FOUND)
    }

    /// Sets a value; version 0 is any, and so is every version of a value that was never set.
    ///
    /// # Errors
    /// `CasMismatch` when the value has another version.
    pub fn set(&self, name: &str, value: &[u8], version: u32) -> Result<(), u32> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = values.by_name.get(name).map_or(version, |(_, current)| *current);
        if version != 0 && version != current {
            return Err(CAS_MISMATCH);
        }
        values.last_version += 1;
        let last = values.last_version;
        values.by_name.insert(name.to_owned(), (value.to_vec(), last));
        Ok(())
    }
}

//! Whether the process has VMs of other modules than this one that record metrics: another version of it, another `vm_id`.
//!
//! All of them count the configurations that are in force with one counter of the proxy. The VMs of one module share how many
//! of these are theirs, so any excess is somebody else's.

use crate::abi;

/// What is known of other VMs.
#[derive(Debug, Default)]
pub struct Others {
    counter: Option<u32>,
    /// The counter when it was looked at last.
    seen: u64,
    found: bool,
}

/// How many of them are this module's.
const OWN: &str = concat!("opmeter.", env!("CARGO_PKG_VERSION"), ".configurations");
/// How often to try when other workers share their number at the same time.
const ATTEMPTS: usize = 64;

// === impl Others ===

impl Others {
    /// A configuration comes into force in this VM. To be called before it is counted.
    pub fn on_configured(&mut self) {
        for _ in 0..ATTEMPTS {
            let (own, version) = own();
            let own = own.saturating_add(1).to_le_bytes();
            match abi::set_shared_data(OWN, &own, version) {
                Err(abi::CAS_MISMATCH) => {}
                _ => break,
            }
        }
    }

    /// Configurations in force are counted by `counter`.
    pub fn set_counter(&mut self, counter: Option<u32>) {
        // A proxy that does not allow the call is not asked again.
        self.counter = counter.filter(|counter| abi::metric(*counter).is_ok());
    }

    /// Whether there are any, or were.
    pub fn exist(&mut self) -> bool {
        let Some(accepted) = self.counter.and_then(|counter| abi::metric(counter).ok()) else {
            return false;
        };
        if accepted != self.seen {
            self.seen = accepted;
            self.found = accepted > own().0;
        }
        self.found
    }
}

/// How many configurations of this module are in force, and the version of that number.
fn own() -> (u64, u32) {
    let Ok((value, version)) = abi::shared_data(OWN) else { return (0, abi::ANY_VERSION) };
    (value.try_into().map(u64::from_le_bytes).unwrap_or_default(), version)
}

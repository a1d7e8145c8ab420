//! Who counts where the module is mounted twice: as filter and as access logger.
//!
//! Envoy runs all mounts of one module with one `vm_id` in one VM, so each sees here what the others do.

use crate::abi;
use crate::host::Proxy;
use opmeter_core::{Recorder, Stream, record};

/// What the mounts of one VM have to know of each other.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Whether the filter has counted the request whose access logs are being written.
    request_counted: bool,
    /// Ids of connections that the network filter has counted, the latest last: their access logs are written later.
    connections_counted: Vec<u64>,
    /// Requests the filter has counted, and entries of access logs.
    requests: u32,
    entries: u32,
    told: bool,
}

/// Most connections whose access logs are waited for: those that Envoy closes in one turn of its event loop.
const MAX_CONNECTIONS: usize = 1_024;

/// Path of the id that the two mounts of a connection have in common.
const CONNECTION_ID: &[u8] = b"connection\0id";

/// What the filter leaves on some requests it has counted, for an access logger in another VM.
const MARK: &[u8] = b"opmeter_counted_by_filter";
/// One in so many requests is marked, from the first on.
const MARKED: u32 = 64;
/// In so many of its first entries an access logger looks for a mark.
const SEARCHED: u32 = 256;

// === impl Mounts ===

impl Mounts {
    /// A filter has logged a stream.
    pub fn on_counted(&mut self, recorder: &Recorder, stream: &Stream) {
        if stream.is_connection() {
            if let (true, Some(id)) = (recorder.counts_connections(), connection_id()) {
                if self.connections_counted.len() >= MAX_CONNECTIONS {
                    self.connections_counted.remove(0);
                }
                self.connections_counted.push(id);
            }
        } else if recorder.counts_requests() {
            self.request_counted = true;
            if self.requests.is_multiple_of(MARKED) {
                // Only a sign: without it a double mount goes unnoticed.
                let _ = abi::set_property(MARK, b"1");
            }
            self.requests = self.requests.wrapping_add(1);
        }
    }

    /// A context is no more, and so the access logs of its request are written.
    pub fn on_delete(&mut self) {
        self.request_counted = false;
    }

    /// An access log gets an entry.
    pub fn on_entry(&mut self, recorder: &mut Recorder) {
        if !recorder.counts_requests() && !recorder.counts_connections() {
            return;
        }
        if self.request_counted {
            self.tell(IN_ONE_VM);
            return;
        }
        if self.entries < SEARCHED {
            self.entries = self.entries.saturating_add(1);
            if abi::property(MARK).is_ok() {
                self.tell(IN_TWO_VMS);
            }
        }
        let connections = &mut self.connections_counted;
        let mut twice = false;
        let is_counted = || {
            twice =
                !connections.is_empty() && connection_id().is_some_and(|id| take(connections, id));
            twice
        };
        recorder.on_entry(is_counted, &mut Proxy, &mut Proxy);
        if twice {
            self.tell(IN_ONE_VM);
        }
    }

    fn tell(&mut self, [follows, alone]: Twice) {
        if !std::mem::replace(&mut self.told, true) {
            log::warn!(
                "mounted as filter and as access logger, both with metrics{follows}; \"standard_metrics\": false in the \
                filter's configuration lets the access logger {alone}count"
            );
            record::count_config_errors(1, &mut Proxy);
        }
    }
}

/// What follows from two mounts, and what may count then.
type Twice = [&'static str; 2];

const IN_ONE_VM: Twice = [": the filter counts, the access logger does not", ""];
const IN_TWO_VMS: Twice = [" and in different VMs: everything is counted twice", "alone "];

fn connection_id() -> Option<u64> {
    let id = abi::property(CONNECTION_ID).ok()?;
    id.try_into().ok().map(u64::from_le_bytes)
}

/// Takes an id off the list; `false` when it is not there.
fn take(connections: &mut Vec<u64>, id: u64) -> bool {
    let place = connections.iter().position(|known| *known == id);
    place.map(|place| connections.remove(place)).is_some()
}

//! Which mount records a stream where the module is mounted several times: as filters, as access loggers, or both.
//!
//! The first mount in the order of the logs records the standard metrics. Mounts in one VM see each other here. Mounts in
//! other VMs are known by a counter that all VMs of a process share; only where there are some, streams carry a mark.

use crate::abi;
use crate::host::Proxy;
use crate::others::Others;
use opmeter_core::record::count_config_errors;
use opmeter_core::{Recorder, Share};

/// What the mounts of one VM need to know of each other.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Those that have logged the request in hand.
    logged: Vec<Logged>,
    /// The request in hand, where only access loggers show it.
    request: Vec<u8>,
    others: Others,
    /// Whether two mounts of this VM may log one request.
    several: bool,
    /// Whether requests over HTTP/3 were recorded: their access logs are written when their filters are gone.
    http3: bool,
    warned: bool,
}

/// A mount that has logged the request in hand.
#[derive(Debug)]
struct Logged {
    configuration: u64,
    /// Stat prefix of its standard metrics; `None` where it has none.
    prefix: Option<Box<str>>,
    is_filter: bool,
}

/// Name of the mark of a request whose standard metrics are recorded, before the stat prefix.
const MARK: &str = "opmeter_requests_";

/// What tells a request from the one before, as access loggers see it.
const IDENTITY: [&[u8]; 2] = [b"connection\0id", b"request\0time"];

// === impl Mounts ===

impl Mounts {
    /// A configuration is in force in this VM.
    pub fn on_configured(&mut self) {
        self.others.on_configured();
    }

    /// Configurations in force, of all VMs, are counted by `counter`.
    pub fn set_counter(&mut self, counter: Option<u32>) {
        self.others.set_counter(counter);
    }

    /// The mounts of this VM have changed.
    pub fn set_several(&mut self, several: bool) {
        self.several = several;
    }

    /// Whether mounts of other VMs may see the same requests.
    pub fn has_others(&mut self) -> bool {
        self.others.exist()
    }

    /// What a filter records of a request that is over.
    pub fn share(&mut self, recorder: &Recorder) -> Share {
        let marked = self.others.exist();
        // A request's filters log before its access loggers, so what these have logged was another request.
        self.logged.retain(|logged| logged.is_filter);
        self.share_of(recorder, true, marked)
    }

    /// What a filter records of a request over HTTP/3 that is no more. Other filters and the access loggers, whose entries
    /// are still to come, see it by a mark.
    pub fn share_of_http3(&mut self, recorder: &Recorder) -> Share {
        self.http3 = true;
        let Some(prefix) = recorder.request_prefix() else { return Share::All };
        let share = recorder.claim_by_mark(&[MARK, prefix].concat(), &mut Proxy);
        if share != Share::All {
            self.warn(true);
        }
        share
    }

    /// A context is no more: the logs of its request are written.
    pub fn on_delete(&mut self) {
        self.logged.clear();
    }

    /// An access log gets an entry.
    pub fn on_entry(&mut self, recorder: &mut Recorder) {
        if !recorder.counts_requests() && !recorder.counts_connections() {
            return;
        }
        if self.several && !self.logged.iter().any(|logged| logged.is_filter) {
            let identity = IDENTITY.map(|path| abi::property(path).unwrap_or_default()).concat();
            if identity != self.request {
                self.request = identity;
                self.logged.clear();
            }
        } else if !self.several {
            self.logged.retain(|logged| logged.is_filter);
        }
        let marked = self.http3 || self.others.exist();
        let share = self.share_of(recorder, false, marked);
        recorder.on_entry(share, &mut Proxy, &mut Proxy);
    }

    fn share_of(&mut self, recorder: &Recorder, is_filter: bool, marked: bool) -> Share {
        if !recorder.counts_requests() {
            return Share::All;
        }
        let configuration = recorder.configuration();
        let prefix = recorder.request_prefix();
        let same = |logged: &Logged| logged.configuration == configuration;
        let counted = |logged: &Logged| prefix.is_some() && logged.prefix.as_deref() == prefix;
        let share = if self.logged.iter().any(same) {
            Share::Nothing
        } else if self.logged.iter().any(counted) {
            Share::Definitions
        } else if let (true, Some(prefix)) = (marked, prefix) {
            recorder.claim_by_mark(&[MARK, prefix].concat(), &mut Proxy)
        } else {
            Share::All
        };
        if share == Share::All {
            let prefix = prefix.map(Into::into);
            self.logged.push(Logged { configuration, prefix, is_filter });
        } else {
            self.warn(is_filter);
        }
        share
    }

    /// Warns once: somebody may wait for the attributes and dimensions of this mount.
    fn warn(&mut self, is_filter: bool) {
        if std::mem::replace(&mut self.warned, true) {
            return;
        }
        let mount = if is_filter { "filter" } else { "access logger" };
        log::warn!(
            "mounted several times for the same requests: the first mount of each records the standard metrics, this {mount} \
            leaves them out; \"standard_metrics\": false in a configuration leaves them to another mount"
        );
        count_config_errors(1, &mut Proxy);
    }
}

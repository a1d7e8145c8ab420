//! Counters about the module itself.

use crate::port::{Failed, MetricId, MetricKind, Sink};

/// The counters, as far as the proxy could define them.
#[derive(Debug)]
pub(super) struct Health {
    evaluation_errors: Option<MetricId>,
    host_errors: Option<MetricId>,
    /// By call, each defined when it first fails.
    errors_of_calls: [Option<MetricId>; CALLS],
    peer_decode_errors: Option<MetricId>,
    overflow: Option<MetricId>,
    duplicates: Option<MetricId>,
    series: Option<MetricId>,
}

/// What went wrong for one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    evaluation: u32,
    /// By call.
    host: [u32; CALLS],
    peer_decode: u32,
    overflow: u32,
    duplicates: u32,
}

/// What the proxy was asked to do when it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    DefineMetric,
    RecordMetric,
    /// Data that workers share.
    SharedData,
    SetAttribute,
    /// To read, set or remove one.
    Header,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in force, but for the parts that had problems.
    Accepted,
    /// `strict` and a problem: the proxy does not take it.
    Rejected,
    /// Nothing in it can be read: the last readable one stays in force, if there is one.
    Unreadable,
}

const CALLS: usize = 5;

/// Counts configurations that are in force, see [`count_configuration`].
const ACCEPTED: &str = "opmeter_config_accepted_total";
/// Counts configurations that `strict` refused.
const REJECTED: &str = "opmeter_config_rejected_total";
/// Counts configurations in which nothing could be read.
const UNREADABLE: &str = "opmeter_config_unreadable_total";
/// Counts the problems in either.
const CONFIG_ERRORS: &str = "opmeter_config_errors_total";
/// Counts expressions that could not be evaluated for a stream.
const EVALUATION_ERRORS: &str = "opmeter_evaluation_errors_total";
/// Counts calls by which the proxy refused a metric, an attribute or a header.
const HOST_ERRORS: &str = "opmeter_host_errors_total";
/// Names of calls in `opmeter_host_errors_CALL_total`, in the order of [`Call`].
const CALL_NAMES: [&str; CALLS] =
    ["define_metric", "record_metric", "shared_data", "set_attribute", "header"];
/// Counts peer metadata that could not be read.
const PEER_DECODE_ERRORS: &str = "opmeter_peer_decode_errors_total";

/// Counts how often labels of a stream were folded, for want of room or by a limit of values.
const OVERFLOW: &str = "opmeter_series_overflow_total";
/// Counts streams whose standard metrics another mount of the module records.
const DUPLICATES: &str = "opmeter_duplicate_streams_total";
/// Label sets that all workers hold together.
const SERIES: &str = "opmeter_series";

/// Counts a configuration and the problems in it; once per worker, as each reads the configuration for itself. A
/// configuration is in force where it was accepted, and where an earlier one stays in force in its place. Gives the counter
/// of those in force, which all VMs of a process have in common.
pub fn count_configuration(
    verdict: Verdict,
    in_force: bool,
    problems: usize,
    sink: &mut impl Sink,
) -> Option<MetricId> {
    let accepted = add(ACCEPTED, usize::from(in_force), sink);
    for (name, wanted) in [(REJECTED, Verdict::Rejected), (UNREADABLE, Verdict::Unreadable)] {
        add(name, usize::from(verdict == wanted), sink);
    }
    count_config_errors(problems, sink);
    accepted
}

/// Counts problems that show when a configuration is in force already.
pub fn count_config_errors(problems: usize, sink: &mut impl Sink) {
    add(CONFIG_ERRORS, problems, sink);
}

fn add(name: &str, amount: usize, sink: &mut impl Sink) -> Option<MetricId> {
    let metric = sink.define(MetricKind::Counter, name).ok()?;
    let _ = count(metric, u64::try_from(amount).unwrap_or(u64::MAX), sink);
    Some(metric)
}

/// A value beyond the ABI's signed counter is counted as the largest one. Envoy refuses to add 0; being defined, the
/// series is there all the same.
pub(super) fn count(counter: MetricId, amount: u64, sink: &mut impl Sink) -> Result<(), Failed> {
    match amount {
        0 => Ok(()),
        amount => sink.increment(counter, i64::try_from(amount).unwrap_or(i64::MAX)),
    }
}

// === impl Health ===

impl Health {
    pub fn new(sink: &mut impl Sink) -> Self {
        let mut counter = |name| sink.define(MetricKind::Counter, name).ok();
        Self {
            evaluation_errors: counter(EVALUATION_ERRORS),
            host_errors: counter(HOST_ERRORS),
            errors_of_calls: [None; CALLS],
            peer_decode_errors: counter(PEER_DECODE_ERRORS),
            overflow: counter(OVERFLOW),
            duplicates: counter(DUPLICATES),
            series: sink.define(MetricKind::Gauge, SERIES).ok(),
        }
    }

    /// There is another label set.
    pub fn count_set(&self, sink: &mut impl Sink) -> Result<(), Failed> {
        self.series.map_or(Ok(()), |gauge| sink.increment(gauge, 1))
    }

    pub fn tell(&mut self, errors: Errors, sink: &mut impl Sink) {
        let host = errors.host.iter().fold(0, |sum: u32, errors| sum.saturating_add(*errors));
        if host > 0 {
            self.tell_calls(errors, sink);
        }
        let counters = [
            (self.evaluation_errors, errors.evaluation),
            (self.host_errors, host),
            (self.peer_decode_errors, errors.peer_decode),
            (self.overflow, errors.overflow),
            (self.duplicates, errors.duplicates),
        ];
        for (counter, errors) in counters {
            if let Some(counter) = counter {
                let _ = count(counter, u64::from(errors), sink);
            }
        }
    }

    #[inline(never)]
    fn tell_calls(&mut self, errors: Errors, sink: &mut impl Sink) {
        let counters = self.errors_of_calls.iter_mut().zip(errors.host).zip(CALL_NAMES);
        for ((counter, errors), name) in counters {
            if errors > 0 && counter.is_none() {
                let name = ["opmeter_host_errors_", name, "_total"].concat();
                *counter = sink.define(MetricKind::Counter, &name).ok();
            }
            if let Some(counter) = *counter {
                let _ = count(counter, u64::from(errors), sink);
            }
        }
    }
}

// === impl Errors ===

impl Errors {
    pub fn evaluation(&mut self) {
        self.evaluation = self.evaluation.saturating_add(1);
    }

    pub fn peer_decode(&mut self) {
        self.peer_decode = self.peer_decode.saturating_add(1);
    }

    pub fn duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_add(1);
    }

    pub fn overflow(&mut self) {
        self.overflow = self.overflow.saturating_add(1);
    }

    pub fn host_call<T>(&mut self, call: Call, result: Result<T, Failed>) -> Option<T> {
        if result.is_err()
            && let Some(errors) = self.host.get_mut(call as usize)
        {
            *errors = errors.saturating_add(1);
        }
        result.ok()
    }
}

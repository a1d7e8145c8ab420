//! Counters about the module itself.

use crate::port::{Failed, MetricId, MetricKind, Sink};

/// The counters, as far as the proxy could define them.
#[derive(Debug)]
pub(super) struct Health {
    evaluation_errors: Option<MetricId>,
    host_errors: Option<MetricId>,
    peer_decode_errors: Option<MetricId>,
    overflow: Option<MetricId>,
    series: Option<MetricId>,
}

/// What went wrong for one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    evaluation: u32,
    host: u32,
    peer_decode: u32,
    overflow: u32,
}

/// Counts problems of configurations, see [`count_config_errors`].
const CONFIG_ERRORS: &str = "opmeter_config_errors_total";
/// Counts expressions that could not be evaluated for a stream.
const EVALUATION_ERRORS: &str = "opmeter_evaluation_errors_total";
/// Counts calls by which the proxy refused a metric, an attribute or a header.
const HOST_ERRORS: &str = "opmeter_host_errors_total";
/// Counts peer metadata that could not be read.
const PEER_DECODE_ERRORS: &str = "opmeter_peer_decode_errors_total";

/// Counts how often labels of a stream were folded, for want of room or by a limit of values.
const OVERFLOW: &str = "opmeter_series_overflow_total";
/// Label sets that all workers hold together.
const SERIES: &str = "opmeter_series";

/// Adds to `opmeter_config_errors_total`; once per worker, as each reads the configuration for itself.
pub fn count_config_errors(problems: usize, sink: &mut impl Sink) {
    if let Ok(metric) = sink.define(MetricKind::Counter, CONFIG_ERRORS) {
        let _ = count(metric, u64::try_from(problems).unwrap_or(u64::MAX), sink);
    }
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
            peer_decode_errors: counter(PEER_DECODE_ERRORS),
            overflow: counter(OVERFLOW),
            series: sink.define(MetricKind::Gauge, SERIES).ok(),
        }
    }

    /// There is another label set.
    pub fn count_set(&self, sink: &mut impl Sink) -> Result<(), Failed> {
        self.series.map_or(Ok(()), |gauge| sink.increment(gauge, 1))
    }

    pub fn tell(&self, errors: Errors, sink: &mut impl Sink) {
        let counters = [
            (self.evaluation_errors, errors.evaluation),
            (self.host_errors, errors.host),
            (self.peer_decode_errors, errors.peer_decode),
            (self.overflow, errors.overflow),
        ];
        for (counter, errors) in counters {
            if let Some(counter) = counter {
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

    pub fn overflow(&mut self) {
        self.overflow = self.overflow.saturating_add(1);
    }

    pub fn host_call<T>(&mut self, result: Result<T, Failed>) -> Option<T> {
        if result.is_err() {
            self.host = self.host.saturating_add(1);
        }
        result.ok()
    }

    pub fn merge(&mut self, other: Self) {
        self.evaluation = self.evaluation.saturating_add(other.evaluation);
        self.host = self.host.saturating_add(other.host);
        self.peer_decode = self.peer_decode.saturating_add(other.peer_decode);
        self.overflow = self.overflow.saturating_add(other.overflow);
    }
}

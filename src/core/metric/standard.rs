//! Istio's standard metrics.

use super::label::Label;
use crate::attribute::Fact;
use crate::port::MetricKind;

/// A standard HTTP metric.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// Name without the prefix.
    pub name: &'static str,
    /// Counter or histogram.
    pub kind: MetricKind,
    /// What is recorded per stream.
    pub measure: Measure,
}

/// What a metric records per stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// One stream.
    One,
    /// The stream's duration in whole milliseconds; nothing when it did not complete.
    Milliseconds,
    /// A fact that is a number of bytes; 0 when absent.
    Bytes(Fact),
    /// The value of a plan's expression, printed and read as an unsigned number; 0 when that fails.
    Expression(usize),
}

/// The HTTP metrics, recorded when a stream is logged (Istio documentation, "Istio Standard Metrics").
pub const HTTP: [Standard; 4] = [
    Standard { name: "requests_total", kind: MetricKind::Counter, measure: Measure::One },
    Standard {
        name: "request_duration_milliseconds",
        kind: MetricKind::Histogram,
        measure: Measure::Milliseconds,
    },
    Standard {
        name: "request_bytes",
        kind: MetricKind::Histogram,
        measure: Measure::Bytes(Fact::RequestBytes),
    },
    Standard {
        name: "response_bytes",
        kind: MetricKind::Histogram,
        measure: Measure::Bytes(Fact::ResponseBytes),
    },
];

/// Names of all standard metrics, without the prefix: what `metrics[].name` may hold.
pub const NAMES: [&str; 10] = [
    "requests_total",
    "request_duration_milliseconds",
    "request_bytes",
    "response_bytes",
    "request_messages_total",
    "response_messages_total",
    "tcp_connections_opened_total",
    "tcp_connections_closed_total",
    "tcp_sent_bytes_total",
    "tcp_received_bytes_total",
];

/// Whether a name (without the prefix) is a standard metric's.
pub fn is_standard(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The labels of the HTTP metrics, in Istio's order.
pub const HTTP_LABELS: [Label; 25] = [
    Label::Reporter,
    Label::SourceWorkload,
    Label::SourceCanonicalService,
    Label::SourceCanonicalRevision,
    Label::SourceWorkloadNamespace,
    Label::SourcePrincipal,
    Label::SourceApp,
    Label::SourceVersion,
    Label::SourceCluster,
    Label::DestinationWorkload,
    Label::DestinationWorkloadNamespace,
    Label::DestinationPrincipal,
    Label::DestinationApp,
    Label::DestinationVersion,
    Label::DestinationService,
    Label::DestinationCanonicalService,
    Label::DestinationCanonicalRevision,
    Label::DestinationServiceName,
    Label::DestinationServiceNamespace,
    Label::DestinationCluster,
    Label::RequestProtocol,
    Label::ResponseCode,
    Label::GrpcResponseStatus,
    Label::ResponseFlags,
    Label::ConnectionSecurityPolicy,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_listed_once() {
        let mut names: Vec<&str> = HTTP_LABELS.iter().map(|label| label.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 25);
    }

    #[test]
    fn every_http_metric_has_a_known_name() {
        assert!(HTTP.iter().all(|metric| is_standard(metric.name)));
    }
}

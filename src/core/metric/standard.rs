//! Istio's standard metrics.

use super::label::Label;
use crate::attribute::Fact;
use crate::port::MetricKind;

/// A standard metric.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// Name without the prefix.
    pub name: &'static str,
    /// Counter or histogram.
    pub kind: MetricKind,
    /// What is recorded.
    pub measure: Measure,
    /// When it is recorded.
    pub occasion: Occasion,
}

/// When metrics are recorded; also decides which of the standard labels they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// At the end of a request.
    Request,
    /// Of gRPC requests: from time to time and at the end.
    Messages,
    /// Of TCP connections: from time to time and at the end.
    Connection,
    /// At the end of requests and of connections.
    End,
}

/// What a metric records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// One stream.
    One,
    /// The stream's duration in whole milliseconds; nothing when it did not complete.
    Milliseconds,
    /// A fact that is a number of bytes; 0 when absent.
    Bytes(Fact),
    /// What a quantity has grown by since it was last recorded.
    Growth(Quantity),
    /// The value of a plan's expression, printed and read as an unsigned number; 0 when that fails.
    Expression(usize),
}

/// What grows while a stream lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// gRPC messages from the client.
    RequestMessages,
    /// gRPC messages to the client.
    ResponseMessages,
    /// 1 once the connection is reported.
    Opened,
    /// 1 once the connection has ended.
    Closed,
    /// Bytes written to the client, whoever reports.
    SentBytes,
    /// Bytes read from the client, whoever reports.
    ReceivedBytes,
}

/// All standard metrics (Istio documentation, "Istio Standard Metrics"), in the order of the Telemetry API's enum.
pub const ALL: [Standard; 10] = [
    counter("requests_total", Measure::One, Occasion::Request),
    histogram("request_duration_milliseconds", Measure::Milliseconds),
    histogram("request_bytes", Measure::Bytes(Fact::RequestBytes)),
    histogram("response_bytes", Measure::Bytes(Fact::ResponseBytes)),
    growth("tcp_connections_opened_total", Quantity::Opened, Occasion::Connection),
    growth("tcp_connections_closed_total", Quantity::Closed, Occasion::Connection),
    growth("tcp_sent_bytes_total", Quantity::SentBytes, Occasion::Connection),
    growth("tcp_received_bytes_total", Quantity::ReceivedBytes, Occasion::Connection),
    growth("request_messages_total", Quantity::RequestMessages, Occasion::Messages),
    growth("response_messages_total", Quantity::ResponseMessages, Occasion::Messages),
];

const fn counter(name: &'static str, measure: Measure, occasion: Occasion) -> Standard {
    Standard { name, kind: MetricKind::Counter, measure, occasion }
}

const fn growth(name: &'static str, quantity: Quantity, occasion: Occasion) -> Standard {
    counter(name, Measure::Growth(quantity), occasion)
}

const fn histogram(name: &'static str, measure: Measure) -> Standard {
    Standard { name, kind: MetricKind::Histogram, measure, occasion: Occasion::Request }
}

/// Whether a name (without the prefix) is a standard metric's.
pub fn is_standard(name: &str) -> bool {
    ALL.iter().any(|metric| metric.name == name)
}

/// The standard labels of metrics recorded on an occasion, in Istio's order.
pub fn labels(occasion: Occasion) -> impl Iterator<Item = Label> {
    HTTP_LABELS.into_iter().filter(move |label| match occasion {
        Occasion::Request => true,
        Occasion::Connection => !matches!(label, Label::ResponseCode | Label::GrpcResponseStatus),
        Occasion::Messages => !matches!(
            label,
            Label::RequestProtocol
                | Label::ResponseCode
                | Label::GrpcResponseStatus
                | Label::ResponseFlags
                | Label::ConnectionSecurityPolicy
        ),
        Occasion::End => false,
    })
}

/// All standard labels, those of the request metrics, in Istio's order.
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
    fn each_occasion_has_its_labels() {
        let count = |occasion| labels(occasion).count();
        assert_eq!(count(Occasion::Request), 25);
        assert_eq!(count(Occasion::Connection), 23);
        assert_eq!(count(Occasion::Messages), 20);
        assert_eq!(count(Occasion::End), 0);
    }
}

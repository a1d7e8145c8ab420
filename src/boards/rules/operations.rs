//! What each operation does, over five minutes. Dashboards over days read these and not the raw series.

use super::{GOOD, Group, OPERATION, Rule};

const RATE: &str = "operation:istio_requests:rate5m";
const BUCKETS: &str = "operation:istio_request_duration_milliseconds_bucket:rate5m";

pub(super) fn group() -> Group {
    let by = format!("reporter, {OPERATION}");
    let mut rules = vec![
        Rule::record(RATE, format!("sum by ({by}) (rate(istio_requests_total[5m]))")),
        // 1 minus the good and not the bad over all, so that no error is 0 and an outage is 1: neither is nothing.
        Rule::record(
            "operation:istio_request_errors:ratio_rate5m",
            format!(
                "1 - (\n  sum by ({by}) (rate(istio_requests_total{{{GOOD}}}[5m]))\n  or {RATE} * 0\n) / ({RATE} > 0)"
            ),
        ),
        Rule::record(
            BUCKETS,
            format!("sum by ({by}, le) (rate(istio_request_duration_milliseconds_bucket[5m]))"),
        ),
    ];
    rules.extend([("p50", "0.5"), ("p90", "0.9"), ("p99", "0.99")].map(|(name, quantile)| {
        Rule::record(
            &format!("operation:istio_request_duration_milliseconds:{name}_5m"),
            format!("histogram_quantile({quantile}, {BUCKETS})"),
        )
    }));
    Group { name: "opmeter-operations", interval: None, rules }
}

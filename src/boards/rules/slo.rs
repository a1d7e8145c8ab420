//! The objective: 99 % of reads are answered without a server error within 10 ms, as the server's sidecar measures it.
//!
//! Reads are the operations named `get_...` or, from an OpenAPI document, `GET ...`. The bound has to be one of the
//! histogram's buckets; its label is `10` in Prometheus 2 and `10.0` in Prometheus 3.

use super::{GOOD, Group, OPERATION, Rule};

/// Share of reads that may miss the objective.
pub(super) const BUDGET: f64 = 0.01;

/// How far back the shares are taken.
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

const READS: &str = r#"reporter="destination", request_operation=~"get_.+|GET .+""#;
const BOUND: &str = r#"le=~"10(\\.0)?""#;

/// Name of the series that holds the share of reads that missed the objective.
pub(super) fn misses(window: &str) -> String {
    format!("operation:slo_read_misses:ratio_rate{window}")
}

pub(super) fn group() -> Group {
    // The long windows read days of samples: once a minute is often enough.
    Group { name: "opmeter-slo", interval: Some("1m"), rules: WINDOWS.map(record).into() }
}

fn record(window: &str) -> Rule {
    let all = format!(
        "sum by ({OPERATION}) (rate(istio_request_duration_milliseconds_count{{{READS}}}[{window}]))"
    );
    let good = format!(
        "sum by ({OPERATION}) (rate(istio_request_duration_milliseconds_bucket{{{READS}, {BOUND}, {GOOD}}}[{window}]))"
    );
    // An operation without a single good answer misses wholly, and is not absent.
    Rule::record(&misses(window), format!("1 - (\n  {good}\n  or {all} * 0\n) / (\n  {all} > 0\n)"))
}

//! Rate, errors and durations of each operation.

use super::{Dashboard, Kind, Panel, Row, Unit, Values, Variable};

/// Series that the drop-downs leave.
const PICKED: &str = "reporter=~\"$reporter\", destination_service_namespace=~\"$namespace\", \
    destination_service_name=~\"$service\", request_operation=~\"$operation\"";
/// No server error; the same as in the recording rules.
const GOOD: &str = r#"response_code!~"5..|0", grpc_response_status!~"2|4|12|13|14|15""#;

pub(super) fn dashboard() -> Dashboard {
    let label =
        |name, title, label, of| Variable { name, title, values: Values::Label { label, of } };
    Dashboard {
        uid: "opmeter-operations",
        title: "Operations",
        description: "How often each operation is called, how often it fails and how long it takes.",
        variables: vec![
            Variable {
                name: "reporter",
                title: "Told by",
                values: Values::Fixed(&["destination", "source", "waypoint"]),
            },
            label(
                "namespace",
                "Namespace",
                "destination_service_namespace",
                r#"istio_requests_total{reporter=~"$reporter"}"#,
            ),
            label(
                "service",
                "Service",
                "destination_service_name",
                r#"istio_requests_total{reporter=~"$reporter", destination_service_namespace=~"$namespace"}"#,
            ),
            label(
                "operation",
                "Operation",
                "request_operation",
                r#"istio_requests_total{reporter=~"$reporter", destination_service_name=~"$service"}"#,
            ),
        ],
        rows: vec![
            Row { title: "Now", repeat: None, panels: now() },
            Row { title: "Rates and errors", repeat: None, panels: rates() },
            Row { title: "Durations", repeat: None, panels: durations() },
            Row { title: "Objective", repeat: None, panels: objective() },
            Row { title: "$operation", repeat: Some("operation"), panels: one_operation() },
        ],
    }
}

fn rate(selector: &str) -> String {
    format!("rate(istio_requests_total{{{PICKED}{selector}}}[$__rate_interval])")
}

fn buckets() -> String {
    format!("rate(istio_request_duration_milliseconds_bucket{{{PICKED}}}[$__rate_interval])")
}

/// Share of requests that are no `good` answers, by these labels; 0 without errors, 1 without anything good.
fn errors(by: &str) -> String {
    let (all, good) = (rate(""), rate(&format!(", {GOOD}")));
    format!("1 - (sum{by} ({good}) or sum{by} ({all}) * 0) / (sum{by} ({all}) > 0)")
}

fn now() -> Vec<Panel> {
    let stat = |unit, title, description| Panel::new(Kind::Stat, unit, 6, title, description);
    vec![
        stat(Unit::Rate, "Requests", "Of the picked operations together.")
            .ask("requests", format!("sum ({})", rate(""))),
        stat(
            Unit::Share,
            "Server errors",
            "5xx, no answer, and gRPC statuses that are the server's fault.",
        )
        .ask("errors", errors("")),
        stat(Unit::Milliseconds, "p99", "99 % of requests take at most so long.")
            .ask("p99", format!("histogram_quantile(0.99, sum by (le) ({}))", buckets())),
        stat(
            Unit::Share,
            "Without an operation",
            "Share of requests that no condition, template or OpenAPI operation matches.",
        )
        .ask(
            "unknown",
            format!(
                "(sum ({0}) or sum ({1}) * 0) / (sum ({1}) > 0)",
                rate(r#", request_operation=~"unknown|""#),
                rate("")
            ),
        ),
    ]
}

fn rates() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Stacked,
            Unit::Rate,
            12,
            "Requests by operation",
            "Requests per second of each operation, on top of each other.",
        )
        .ask("{{request_operation}}", format!("sum by (request_operation) ({})", rate(""))),
        Panel::new(
            Kind::Lines,
            Unit::Share,
            12,
            "Server errors by operation",
            "Share of requests that failed by the server's fault.",
        )
        .ask("{{request_operation}}", errors(" by (request_operation)")),
        Panel::new(
            Kind::Stacked,
            Unit::Rate,
            12,
            "Answers by code",
            "Requests per second of each response code; 0 is no answer.",
        )
        .ask("{{response_code}}", format!("sum by (response_code) ({})", rate(""))),
        Panel::new(
            Kind::Table,
            Unit::Rate,
            12,
            "Operations and their answers",
            "Requests per second of each operation, code, gRPC status and flag.",
        )
        .columns(&["request_operation", "response_code", "grpc_response_status", "response_flags"])
        .ask(
            "requests",
            format!(
                "sum by (request_operation, response_code, grpc_response_status, response_flags) ({})",
                rate("")
            ),
        ),
    ]
}

fn durations() -> Vec<Panel> {
    let quantile = |title, description, quantile: &str| {
        Panel::new(Kind::Lines, Unit::Milliseconds, 8, title, description).ask(
            "{{request_operation}}",
            format!(
                "histogram_quantile({quantile}, sum by (request_operation, le) ({}))",
                buckets()
            ),
        )
    };
    vec![
        quantile("p50 by operation", "Half of the requests take at most so long.", "0.5"),
        quantile("p90 by operation", "9 of 10 requests take at most so long.", "0.9"),
        quantile("p99 by operation", "99 of 100 requests take at most so long.", "0.99"),
    ]
}

fn objective() -> Vec<Panel> {
    let picked = r#"destination_service_namespace=~"$namespace", request_operation=~"$operation""#;
    vec![
        Panel::new(
            Kind::Lines,
            Unit::Share,
            12,
            "Reads that miss the objective",
            "Share of get_... and GET ... operations not answered within 10 ms without a server error; 1% may be. \
             From the recording rules.",
        )
        .ask(
            "{{request_operation}}, 5 min",
            format!("operation:slo_read_misses:ratio_rate5m{{{picked}}}"),
        )
        .ask(
            "{{request_operation}}, 1 h",
            format!("operation:slo_read_misses:ratio_rate1h{{{picked}}}"),
        ),
        Panel::new(
            Kind::Table,
            Unit::Share,
            12,
            "Budget left of three days",
            "1 is all of it, 0 none; below 0 the objective is missed.",
        )
        .columns(&["request_operation", "destination_service"])
        .ask("left", format!("1 - max by (destination_service, request_operation) \
                 (operation:slo_read_misses:ratio_rate3d{{{picked}}}) / 0.01")),
    ]
}

fn one_operation() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Heatmap,
            Unit::Milliseconds,
            16,
            "Durations of $operation",
            "How many requests took how long, over time.",
        )
        .ask(
            "{{le}}",
            format!(
                "sum by (le) (increase(istio_request_duration_milliseconds_bucket{{{PICKED}}}[$__rate_interval]))"
            ),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Bytes,
            8,
            "Sizes of $operation",
            "Average request and response, headers included.",
        )
        .ask("request", average("istio_request_bytes"))
        .ask("response", average("istio_response_bytes")),
    ]
}

fn average(histogram: &str) -> String {
    let sum = |part: &str| format!("sum (rate({histogram}_{part}{{{PICKED}}}[$__rate_interval]))");
    format!("{} / ({} > 0)", sum("sum"), sum("count"))
}

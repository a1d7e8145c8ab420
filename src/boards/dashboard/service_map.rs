//! Who calls whom, and one workload's callers and callees; by Istio's labels alone.

use super::{Dashboard, Kind, Panel, Row, Unit, Values, Variable};

/// What others call on the workload, as its own sidecar tells.
const INCOMING: &str = "reporter=~\"destination|waypoint\", \
    destination_workload_namespace=~\"$namespace\", destination_workload=~\"$workload\"";
/// What the workload calls, as its own sidecar tells.
const OUTGOING: &str =
    r#"reporter="source", source_workload_namespace=~"$namespace", source_workload=~"$workload""#;
const GOOD: &str = r#"response_code!~"5..|0", grpc_response_status!~"2|4|12|13|14|15""#;

/// The two ends of an edge.
const EDGE: &str = "source_workload_namespace, source_workload, destination_workload_namespace, destination_workload";

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "opmeter-service-map",
        title: "Service map",
        description: "Who calls whom; then one workload, its callers and what it calls.",
        variables: vec![
            Variable {
                name: "namespace",
                title: "Namespace",
                values: Values::Ends("workload_namespace", ""),
            },
            Variable {
                name: "workload",
                title: "Workload",
                values: Values::Ends("workload", r#"{SIDE_workload_namespace=~"$namespace"}"#),
            },
        ],
        rows: vec![
            Row { title: "All edges", repeat: None, panels: edges() },
            Row { title: "Calls to $workload", repeat: None, panels: incoming() },
            Row { title: "Calls from $workload", repeat: None, panels: outgoing() },
            Row { title: "gRPC messages and TCP", repeat: None, panels: streams() },
        ],
    }
}

fn edges() -> Vec<Panel> {
    let edge = r#"reporter=~"destination|waypoint""#;
    let rate = |more: &str| {
        format!("sum by ({EDGE}) (rate(istio_requests_total{{{edge}{more}}}[$__rate_interval]))")
    };
    vec![
        Panel::new(
            Kind::Table,
            Unit::Rate,
            24,
            "Who calls whom",
            "One row for each pair of workloads: requests, failed requests, and requests over mutual TLS per second.",
        )
        .columns(&[
            "source_workload",
            "source_workload_namespace",
            "destination_workload",
            "destination_workload_namespace",
        ])
        .ask("requests", rate(""))
        .ask(
            "failed",
            format!("{} - ({1} or {0} * 0)", rate(""), rate(&format!(", {GOOD}"))),
        )
        .ask(
            "mutual TLS",
            format!(
                "{} or {} * 0",
                rate(r#", connection_security_policy="mutual_tls""#),
                rate("")
            ),
        ),
    ]
}

fn incoming() -> Vec<Panel> {
    let rate =
        |more: &str| format!("rate(istio_requests_total{{{INCOMING}{more}}}[$__rate_interval])");
    vec![
        Panel::new(
            Kind::Stacked,
            Unit::Rate,
            8,
            "Callers",
            "Requests per second of each workload that calls.",
        )
        .ask(
            "{{source_workload}}.{{source_workload_namespace}}",
            format!("sum by (source_workload, source_workload_namespace) ({})", rate("")),
        ),
        Panel::new(
            Kind::Stacked,
            Unit::Rate,
            8,
            "Operations called",
            "Requests per second of each operation, protocol by protocol.",
        )
        .ask(
            "{{request_operation}} ({{request_protocol}})",
            format!("sum by (request_operation, request_protocol) ({})", rate("")),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Milliseconds,
            8,
            "p90 by caller",
            "9 of 10 requests of a caller are answered within this time.",
        )
        .ask(
            "{{source_workload}}",
            format!(
                "histogram_quantile(0.9, sum by (source_workload, le) \
                 (rate(istio_request_duration_milliseconds_bucket{{{INCOMING}}}[$__rate_interval])))"
            ),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Share,
            12,
            "Server errors by caller",
            "Share of a caller's requests that failed by the server's fault.",
        )
        .ask(
            "{{source_workload}}",
            format!(
                "1 - (sum by (source_workload) ({good}) or sum by (source_workload) ({all}) * 0) / (sum by (source_workload) ({all}) > 0)",
                good = rate(&format!(", {GOOD}")),
                all = rate("")
            ),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Share,
            12,
            "Mutual TLS",
            "Share of a caller's requests that came over mutual TLS.",
        )
        .ask(
            "{{source_workload}}",
            format!(
                "(sum by (source_workload) ({tls}) or sum by (source_workload) ({all}) * 0) / (sum by (source_workload) ({all}) > 0)",
                tls = rate(r#", connection_security_policy="mutual_tls""#),
                all = rate("")
            ),
        ),
    ]
}

fn outgoing() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Stacked,
            Unit::Rate,
            12,
            "Services called",
            "Requests per second of each service, as the callers' sidecars tell.",
        )
        .ask(
            "{{destination_service_name}}",
            format!(
                "sum by (destination_service_name) (rate(istio_requests_total{{{OUTGOING}}}[$__rate_interval]))"
            ),
        ),
        Panel::new(
            Kind::Lines,
            Unit::Milliseconds,
            12,
            "p90 by service called",
            "9 of 10 calls are answered within this time, as the caller sees it.",
        )
        .ask(
            "{{destination_service_name}}",
            format!(
                "histogram_quantile(0.9, sum by (destination_service_name, le) \
                 (rate(istio_request_duration_milliseconds_bucket{{{OUTGOING}}}[$__rate_interval])))"
            ),
        ),
    ]
}

fn streams() -> Vec<Panel> {
    let rate = |metric: &str| {
        format!(
            "sum by (source_workload, destination_workload) (rate({metric}{{{INCOMING}}}[$__rate_interval]))"
        )
    };
    vec![
        Panel::new(
            Kind::Lines,
            Unit::Rate,
            8,
            "gRPC messages",
            "Messages per second within gRPC calls.",
        )
        .ask("requests of {{source_workload}}", rate("istio_request_messages_total"))
        .ask("responses to {{source_workload}}", rate("istio_response_messages_total")),
        Panel::new(
            Kind::Lines,
            Unit::ByteRate,
            8,
            "TCP bytes",
            "As Istio counts: received is what the client sent, sent is what it got, whoever tells.",
        )
        .ask("from {{source_workload}}", rate("istio_tcp_received_bytes_total"))
        .ask("to {{source_workload}}", rate("istio_tcp_sent_bytes_total")),
        Panel::new(
            Kind::Lines,
            Unit::Rate,
            8,
            "TCP connections",
            "Connections opened and closed per second.",
        )
        .ask("opened by {{source_workload}}", rate("istio_tcp_connections_opened_total"))
        .ask("closed, {{source_workload}}", rate("istio_tcp_connections_closed_total")),
    ]
}
